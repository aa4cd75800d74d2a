// SPDX-License-Identifier: GPL-2.0-only
/* C expressions to paths: types from DWARF, one step of the expression at a time. */
#include <dwarf.h>
#include <errno.h>
#include <string.h>
#include "symbols/debuginfo_private.h"
#include "symbols/debuginfo_type.h"
#include "symbols/expression.h"

#define DEBUGINFO_OFFSET   (1 << 30) /* either way; what is larger is no member */
#define DEBUGINFO_SOCKADDR 16	     /* bytes of the smallest, sockaddr_in */
#define DEBUGINFO_STRING   UINT8_MAX /* bytes that a path can tell to read */

/* A value on its way: what the steps so far lead to. */
struct value {
	struct debuginfo *info;
	Dwarf_Die *near; /* casts name types as seen from here */
	struct why why;
	struct debuginfo_type type;
	struct tp_path path;
	/* The path leads to the place of the value; else it is the value: a register, or */
	bool place;
	bool address; /* the address of that place */
};

static int add_offset(struct value *value, int64_t offset)
{
	int32_t *last = &value->path.offset[value->path.count - 1];

	if (offset > DEBUGINFO_OFFSET || offset < -DEBUGINFO_OFFSET ||
	    *last + offset > DEBUGINFO_OFFSET)
		return why_say(&value->why, -EINVAL, "an offset of more than 1 GiB");
	*last += (int32_t)offset;
	return 0;
}

/* From a pointer to what it points to. */
static int dereference(struct value *value)
{
	struct debuginfo_type target;
	char text[128];
	int err;

	if (debuginfo_type_class(&value->type) == DEBUGINFO_CLASS_ARRAY && value->place) {
		value->address = true; /* an array is the address of its first element */
	} else if (debuginfo_type_class(&value->type) != DEBUGINFO_CLASS_POINTER) {
		return why_say(&value->why, -EINVAL, "%s is no pointer",
			       debuginfo_type_text(&value->type, text, sizeof(text)));
	}
	err = debuginfo_type_target(&value->type, &target, &value->why);
	if (err)
		return err;
	value->type = target;
	if (!value->address) {
		if (value->path.count == TP_PATH_OFFSETS)
			return why_say(&value->why, -E2BIG, "more than %d pointers in a row",
				       TP_PATH_OFFSETS - 1);
		value->path.offset[value->path.count++] = 0;
	}
	value->place = true;
	value->address = false;
	return 0;
}

static int step_member(struct value *value, const char *name)
{
	struct debuginfo_type member;
	int64_t offset;
	int err;

	if (!value->place)
		return why_say(&value->why, -EINVAL,
			       "`.%.80s` of something that has no place in "
			       "memory",
			       name);
	err = debuginfo_type_member(value->info, &value->type, name, &offset, &member, &value->why);
	if (err)
		return err;
	value->type = member;
	return add_offset(value, offset);
}

static int step_index(struct value *value, uint64_t index)
{
	int64_t count = debuginfo_type_count(&value->type);
	int64_t size;
	int err = dereference(value);

	if (err)
		return err;
	size = debuginfo_type_size(&value->type);
	if (size <= 0)
		return why_say(&value->why, -EINVAL, "the elements' size isn't known");
	if (index > DEBUGINFO_OFFSET / (uint64_t)size)
		return why_say(&value->why, -EINVAL, "the index is too large");
	if (count >= 0 && (int64_t)index >= count)
		return why_say(&value->why, -EINVAL, "index %llu is past the array's end",
			       (unsigned long long)index);
	return add_offset(value, (int64_t)index * size);
}

static int step_address(struct value *value)
{
	if (!value->place)
		return why_say(&value->why, -EINVAL,
			       "`&` of something that has no place in memory");
	value->place = false;
	value->address = true;
	value->type.stars++;
	return 0;
}

static bool is_scalar(enum debuginfo_class class)
{
	return class == DEBUGINFO_CLASS_INTEGER || class == DEBUGINFO_CLASS_POINTER;
}

/* An array becomes a pointer to its elements. */
static int decay(struct value *value)
{
	int err;

	if (debuginfo_type_class(&value->type) != DEBUGINFO_CLASS_ARRAY)
		return 0;
	err = dereference(value);
	return err ? err : step_address(value);
}

static int step_cast(struct value *value, const struct expression_type *name)
{
	struct debuginfo_type to;
	int err = debuginfo_type_named(value->info, value->near, name, &to, &value->why);

	if (!err)
		err = decay(value);
	if (err)
		return err;
	if (!is_scalar(debuginfo_type_class(&value->type)) || !is_scalar(debuginfo_type_class(&to)))
		return why_say(&value->why, -EINVAL, "only integers and pointers can be cast");
	if (value->place && debuginfo_type_size(&to) > debuginfo_type_size(&value->type))
		return why_say(&value->why, -EINVAL,
			       "a cast to something wider than what is there");
	value->type = to;
	return 0;
}

static int step(struct value *value, const struct expression_step *step)
{
	int err;

	switch (step->kind) {
	case EXPRESSION_ARROW:
		err = dereference(value);
		return err ? err : step_member(value, step->name);
	case EXPRESSION_MEMBER:
		return step_member(value, step->name);
	case EXPRESSION_INDEX:
		return step_index(value, step->index);
	case EXPRESSION_CONTENT:
		return dereference(value);
	case EXPRESSION_ADDRESS:
		return step_address(value);
	case EXPRESSION_CAST:
		return step_cast(value, &step->type);
	}
	return -EINVAL;
}

/* A parameter is in a register, or already in memory. */
static int root_place(struct value *value, const struct debuginfo_place *place)
{
	value->path.base = place->base;
	if (place->kind == DEBUGINFO_REGISTER)
		return 0;
	value->path.count = 1;
	value->place = place->kind == DEBUGINFO_MEMORY;
	value->address = place->kind == DEBUGINFO_ADDRESS;
	return add_offset(value, place->offset);
}

static int root_return(struct debuginfo_function *function, struct value *value)
{
	Dwarf_Die die = function->die;

	if (function->changed_signature)
		return why_say(&value->why, -ENOTSUP,
			       "the compiler may have dropped the return "
			       "value of this variant of `%.80s`",
			       function->name);
	value->path.base = TP_BASE_RETURN;
	return debuginfo_type_of(&die, &value->type, &value->why);
}

static int root_each(struct debuginfo_function *function, struct value *value)
{
	if (!function->walks)
		return why_say(&value->why, -EINVAL, "`each` without a walk");
	value->path.base = TP_BASE_EACH;
	value->type = function->each;
	return 0;
}

/* Parameter, "return", or "each". */
static int root(struct debuginfo_function *function, const char *name, struct value *value)
{
	struct debuginfo_place place = {};
	Dwarf_Die die;
	int err;

	if (!strcmp(name, "return")) {
		err = root_return(function, value);
	} else if (!strcmp(name, "each")) {
		err = root_each(function, value);
	} else {
		err = debuginfo_argument(function, name, &die, &place, &value->why);
		if (!err)
			err = root_place(value, &place);
		if (!err)
			err = debuginfo_type_of(&die, &value->type, &value->why);
	}
	if (err || is_scalar(debuginfo_type_class(&value->type)))
		return err;
	return why_say(&value->why, -ENOTSUP, "`%s` of `%.80s` is neither integer nor pointer",
		       name, function->name);
}

static int read_number(struct value *value)
{
	int64_t size = debuginfo_type_size(&value->type);
	enum debuginfo_class class = debuginfo_type_class(&value->type);
	char text[128];

	if (!is_scalar(class) || size < 1 || size > 8 || (size & (size - 1)))
		return why_say(&value->why, -EINVAL, "%s is not a number",
			       debuginfo_type_text(&value->type, text, sizeof(text)));
	if (value->address)
		return why_say(&value->why, -EINVAL,
			       "the address of a place is no field; "
			       "leave out the `&`");
	value->path.read = size == 1   ? TP_READ_U8
			   : size == 2 ? TP_READ_U16
			   : size == 4 ? TP_READ_U32
				       : TP_READ_U64;
	return 0;
}

static int read_sockaddr(struct value *value)
{
	int64_t size = debuginfo_type_size(&value->type);
	char text[128];

	if (!value->place || debuginfo_type_class(&value->type) != DEBUGINFO_CLASS_STRUCT ||
	    size < DEBUGINFO_SOCKADDR)
		return why_say(&value->why, -EINVAL, "%s is not a socket address",
			       debuginfo_type_text(&value->type, text, sizeof(text)));
	value->path.read = TP_READ_SOCKADDR;
	return 0;
}

/* An array of characters, or a pointer to them. */
static int read_string(struct value *value)
{
	bool is_array = debuginfo_type_class(&value->type) == DEBUGINFO_CLASS_ARRAY;
	int64_t room = is_array ? debuginfo_type_count(&value->type) : DEBUGINFO_STRING;
	char text[128];
	int err = dereference(value);

	if (err)
		return err;
	if (debuginfo_type_class(&value->type) != DEBUGINFO_CLASS_INTEGER ||
	    debuginfo_type_size(&value->type) != 1 || room < 1)
		return why_say(&value->why, -EINVAL, "%s is not a character",
			       debuginfo_type_text(&value->type, text, sizeof(text)));
	value->path.read = TP_READ_STRING;
	value->path.size = room > DEBUGINFO_STRING ? DEBUGINFO_STRING : (uint8_t)room;
	return 0;
}

static int read_end(struct value *value, enum tp_read read)
{
	switch (read) {
	case TP_READ_SOCKADDR:
		return read_sockaddr(value);
	case TP_READ_STRING:
		return read_string(value);
	default:
		return read_number(value);
	}
}

static int evaluate(struct debuginfo_function *function, const char *expression,
		    struct value *value)
{
	struct expression parsed;
	int err = expression_parse(expression, &parsed, value->why.text, value->why.size);

	*value = (struct value){.info = function->info, .near = &function->die, .why = value->why};
	if (!err)
		err = root(function, parsed.root, value);
	for (unsigned int i = 0; !err && i < parsed.steps; i++)
		err = step(value, &parsed.step[i]);
	return err;
}

int debuginfo_expression(struct debuginfo_function *function, const char *expression,
			 enum tp_read read, struct tp_path *ret, char *why, size_t size)
{
	struct value value = {.why = {why, size}};
	int err = evaluate(function, expression, &value);

	if (!err)
		err = read_end(&value, read);
	if (!err)
		*ret = value.path;
	return err;
}

/* An array that lies in memory: what it consists of, their size and number. */
static int array_of(struct value *value, uint32_t *ret_count, uint32_t *ret_size)
{
	int64_t count = debuginfo_type_count(&value->type), size = -1;
	struct debuginfo_type element;

	if (value->place && count > 0 &&
	    !debuginfo_type_target(&value->type, &element, &value->why))
		size = debuginfo_type_size(&element);
	if (size <= 0 || size > DEBUGINFO_OFFSET || count > DEBUGINFO_OFFSET)
		return why_say(&value->why, -EINVAL, "a walk goes through an array");
	value->type = element;
	*ret_count = (uint32_t)count;
	*ret_size = (uint32_t)size;
	return 0;
}

static int member_of(struct value *value, const char *name, struct value *ret, uint32_t *ret_offset)
{
	int64_t offset;

	*ret = *value;
	if (debuginfo_type_member(value->info, &value->type, name, &offset, &ret->type,
				  &value->why))
		return -ENOENT;
	*ret_offset = (uint32_t)offset;
	return 0;
}

int debuginfo_walk(struct debuginfo_function *function, const struct debuginfo_walk *names,
		   struct tp_walk *ret, char *why, size_t size)
{
	struct value table = {.why = {why, size}}, slots, more, count;
	int err = evaluate(function, names->table, &table);

	if (!err)
		err = array_of(&table, &ret->buckets, &ret->bucket_size);
	if (err)
		return err;
	ret->table = table.path;
	ret->table.read = TP_READ_U64;
	err = member_of(&table, names->slots, &slots, &ret->slot);
	if (!err)
		err = array_of(&slots, &ret->slots, &ret->slot_size);
	if (!err)
		err = member_of(&table, names->more, &more, &ret->more);
	if (!err)
		err = member_of(&table, names->more_count, &count, &ret->more_count);
	if (err)
		return err;
	if (debuginfo_type_size(&more.type) != 8 || debuginfo_type_size(&count.type) != 8)
		return why_say(&table.why, -EINVAL, "`%.64s` is no pointer, or `%.64s` not 64 bits",
			       names->more, names->more_count);
	function->each = slots.type;
	function->each.stars++;
	function->walks = true;
	return 0;
}
