// SPDX-License-Identifier: GPL-2.0-only
#include <dwarf.h>
#include <errno.h>
#include <string.h>
#include "symbols/debuginfo_private.h"
#include "symbols/debuginfo_type.h"

static bool is_transparent(int tag)
{
	return tag == DW_TAG_typedef || tag == DW_TAG_const_type || tag == DW_TAG_volatile_type ||
	       tag == DW_TAG_restrict_type || tag == DW_TAG_atomic_type;
}

/* Follows DW_AT_type once; false: there is none. */
static bool follow(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute attribute;

	return dwarf_attr_integrate(die, DW_AT_type, &attribute) &&
	       dwarf_formref_die(&attribute, ret);
}

/* From a declaration to the type unit that defines it. */
static void follow_signature(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	Dwarf_Die definition;

	if (dwarf_attr(die, DW_AT_signature, &attribute) &&
	    dwarf_formref_die(&attribute, &definition))
		*die = definition;
}

static int peel(Dwarf_Die *die, struct debuginfo_type *ret, const struct why *why)
{
	Dwarf_Die at = *die, next;

	memset(ret, 0, sizeof(*ret));
	for (int depth = 0; is_transparent(dwarf_tag(&at)); depth++) {
		if (depth == DEBUGINFO_DEPTH)
			return why_say(why, -EINVAL,
				       "the debug information's types go in a circle");
		if (!follow(&at, &next)) {
			ret->kind = DEBUGINFO_TYPE_VOID;
			return 0;
		}
		at = next;
	}
	follow_signature(&at);
	ret->die = at;
	return 0;
}

int debuginfo_type_of(Dwarf_Die *die, struct debuginfo_type *ret, const struct why *why)
{
	Dwarf_Die type;

	if (follow(die, &type))
		return peel(&type, ret, why);
	memset(ret, 0, sizeof(*ret));
	ret->kind = DEBUGINFO_TYPE_VOID;
	return 0;
}

static enum debuginfo_class base_class(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	Dwarf_Word encoding = 0;

	if (!dwarf_attr(die, DW_AT_encoding, &attribute) || dwarf_formudata(&attribute, &encoding))
		return DEBUGINFO_CLASS_OTHER;
	switch (encoding) {
	case DW_ATE_float:
	case DW_ATE_complex_float:
	case DW_ATE_decimal_float:
		return DEBUGINFO_CLASS_FLOAT;
	default:
		return DEBUGINFO_CLASS_INTEGER;
	}
}

enum debuginfo_class debuginfo_type_class(const struct debuginfo_type *type)
{
	Dwarf_Die die = type->die;

	if (type->stars)
		return DEBUGINFO_CLASS_POINTER;
	if (type->kind == DEBUGINFO_TYPE_INTEGER)
		return DEBUGINFO_CLASS_INTEGER;
	if (type->kind == DEBUGINFO_TYPE_VOID)
		return DEBUGINFO_CLASS_VOID;
	switch (dwarf_tag(&die)) {
	case DW_TAG_base_type:
		return base_class(&die);
	case DW_TAG_enumeration_type:
		return DEBUGINFO_CLASS_INTEGER;
	case DW_TAG_pointer_type:
		return DEBUGINFO_CLASS_POINTER;
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
		return DEBUGINFO_CLASS_STRUCT;
	case DW_TAG_array_type:
		return DEBUGINFO_CLASS_ARRAY;
	default:
		return DEBUGINFO_CLASS_OTHER;
	}
}

int64_t debuginfo_type_size(const struct debuginfo_type *type)
{
	Dwarf_Die die = type->die;
	Dwarf_Word size;

	if (type->stars)
		return sizeof(void *);
	if (type->kind == DEBUGINFO_TYPE_INTEGER)
		return type->size;
	if (type->kind == DEBUGINFO_TYPE_VOID || dwarf_aggregate_size(&die, &size) ||
	    size > INT32_MAX)
		return -1;
	return (int64_t)size;
}

const char *debuginfo_type_text(const struct debuginfo_type *type, char *ret, size_t size)
{
	Dwarf_Die die = type->die;
	const char *name = NULL, *tag = "";

	if (type->kind == DEBUGINFO_TYPE_DIE) {
		name = dwarf_diename(&die);
		if (dwarf_tag(&die) == DW_TAG_structure_type)
			tag = "struct ";
		else if (dwarf_tag(&die) == DW_TAG_union_type)
			tag = "union ";
		else if (dwarf_tag(&die) == DW_TAG_pointer_type)
			name = "a pointer";
		else if (dwarf_tag(&die) == DW_TAG_array_type)
			name = "an array";
	} else {
		name = type->kind == DEBUGINFO_TYPE_VOID ? "void" : "an integer";
	}
	snprintf(ret, size, "%s%.80s%.*s", tag, name ? name : "without a name",
		 (int)(type->stars < 8 ? type->stars : 8), "********");
	return ret;
}

/* The only subrange of an array; false: none, or an array of arrays, whose elements have no DIE. */
static bool subrange_of(Dwarf_Die *array, Dwarf_Die *ret)
{
	unsigned int dimensions = 0;
	Dwarf_Die child;
	bool more;

	for (more = debuginfo_child(array, &child); more;
	     more = debuginfo_sibling(&child, &child)) {
		if (dwarf_tag(&child) != DW_TAG_subrange_type)
			continue;
		*ret = child;
		dimensions++;
	}
	return dimensions == 1;
}

int64_t debuginfo_type_count(const struct debuginfo_type *type)
{
	Dwarf_Die die = type->die, range;
	Dwarf_Attribute attribute;
	Dwarf_Word bound;

	if (debuginfo_type_class(type) != DEBUGINFO_CLASS_ARRAY || !subrange_of(&die, &range))
		return -1;
	if (dwarf_attr(&range, DW_AT_count, &attribute))
		return dwarf_formudata(&attribute, &bound) || bound > INT32_MAX ? -1
										: (int64_t)bound;
	if (dwarf_attr(&range, DW_AT_upper_bound, &attribute) &&
	    !dwarf_formudata(&attribute, &bound) && bound < INT32_MAX)
		return (int64_t)bound + 1;
	return -1;
}

int debuginfo_type_target(const struct debuginfo_type *type, struct debuginfo_type *ret,
			  const struct why *why)
{
	Dwarf_Die die = type->die, range;

	if (type->stars) {
		*ret = *type;
		ret->stars--;
		return 0;
	}
	if (debuginfo_type_class(type) == DEBUGINFO_CLASS_ARRAY && !subrange_of(&die, &range))
		return why_say(why, -ENOTSUP, "arrays of arrays can't be read yet");
	return debuginfo_type_of(&die, ret, why);
}

static bool is_definition(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);

	return (tag == DW_TAG_typedef || tag == DW_TAG_structure_type || tag == DW_TAG_union_type ||
		tag == DW_TAG_enumeration_type) &&
	       !debuginfo_is(die, DW_AT_declaration);
}

static int index_types(struct debuginfo *info, const struct why *why)
{
	int err;

	if (info->types_ready)
		return 0;
	err = debuginfo_index_add(&info->types, info->dwarf, is_definition);
	if (!err && info->alternate.dwarf)
		err = debuginfo_index_add(&info->types, info->alternate.dwarf, is_definition);
	if (err)
		return why_say(why, err, "the debug information has too many types");
	debuginfo_index_sort(&info->types);
	info->types_ready = true;
	return 0;
}

static bool is_of_kind(Dwarf_Die *die, enum expression_type_kind kind)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_typedef:
		return kind == EXPRESSION_NAMED;
	case DW_TAG_structure_type:
		return kind == EXPRESSION_STRUCT;
	case DW_TAG_union_type:
		return kind == EXPRESSION_UNION;
	default:
		return kind == EXPRESSION_ENUM;
	}
}

/* All of one size are taken to be one type, seen from several units. */
struct definitions {
	Dwarf_Die own, other;
	bool own_found, other_found, differ;
	int64_t size;
};

static void consider(struct definitions *found, Dwarf_Die *die, Dwarf_Die *near)
{
	const struct why quiet = {};
	struct debuginfo_type type;
	int64_t size = -1;

	if (!peel(die, &type, &quiet))
		size = debuginfo_type_size(&type);
	if (die->cu == near->cu) {
		found->own = *die;
		found->own_found = true;
	}
	/* A typedef of an incomplete struct says nothing. */
	if (size < 0 && found->other_found)
		return;
	found->differ |= found->other_found && found->size >= 0 && found->size != size;
	found->other = *die;
	found->other_found = true;
	found->size = size;
}

static int find(struct debuginfo *info, Dwarf_Die *near, const char *name,
		enum expression_type_kind kind, Dwarf_Die *ret, const struct why *why)
{
	const struct debuginfo_entry *entry;
	struct definitions found = {.size = -1};
	size_t count;
	int err = index_types(info, why);

	if (err)
		return err;
	entry = debuginfo_index_find(&info->types, name, &count);
	for (size_t i = 0; i < count; i++) {
		Dwarf_Die die = entry[i].die;

		if (is_of_kind(&die, kind))
			consider(&found, &die, near);
	}
	if (!found.own_found && !found.other_found)
		return why_say(why, -ENOENT, "no type `%.80s` in the debug information", name);
	if (!found.own_found && found.differ)
		return why_say(why, -ENOTSUP, "there are several types `%.80s`", name);
	*ret = found.own_found ? found.own : found.other;
	return 0;
}

int debuginfo_type_named(struct debuginfo *info, Dwarf_Die *near,
			 const struct expression_type *name, struct debuginfo_type *ret,
			 const struct why *why)
{
	Dwarf_Die die;
	int err;

	memset(ret, 0, sizeof(*ret));
	if (name->kind == EXPRESSION_VOID || name->kind == EXPRESSION_INTEGER) {
		ret->kind = name->kind == EXPRESSION_VOID ? DEBUGINFO_TYPE_VOID
							  : DEBUGINFO_TYPE_INTEGER;
		ret->size = name->size;
	} else {
		err = find(info, near, name->name, name->kind, &die, why);
		if (!err)
			err = peel(&die, ret, why);
		if (err)
			return err;
	}
	ret->stars = name->pointers;
	return 0;
}

/* A struct that is only declared in this unit is defined in another one. */
static int complete(struct debuginfo *info, const struct debuginfo_type *type, Dwarf_Die *ret,
		    const struct why *why)
{
	Dwarf_Die die = type->die;
	bool is_union = dwarf_tag(&die) == DW_TAG_union_type;
	const char *name = dwarf_diename(&die);

	*ret = die;
	if (!debuginfo_is(&die, DW_AT_declaration))
		return 0;
	if (!name)
		return why_say(why, -ENOENT, "a struct without a name is declared only");
	return find(info, &die, name, is_union ? EXPRESSION_UNION : EXPRESSION_STRUCT, ret, why);
}

static bool is_bit_field(Dwarf_Die *die)
{
	return dwarf_hasattr(die, DW_AT_bit_size) || dwarf_hasattr(die, DW_AT_data_bit_offset);
}

/* Members of unions have no location: 0. -1: it isn't a constant. */
static int64_t member_offset(Dwarf_Die *member)
{
	Dwarf_Attribute attribute;
	Dwarf_Word offset;

	if (!dwarf_attr(member, DW_AT_data_member_location, &attribute))
		return 0;
	return dwarf_formudata(&attribute, &offset) || offset > INT32_MAX ? -1 : (int64_t)offset;
}

/* Finds it here, or in an anonymous struct or union within. */
static bool member_below(Dwarf_Die *parent, const char *name, unsigned int depth, Dwarf_Die *ret,
			 int64_t *offset)
{
	const struct why quiet = {};
	struct debuginfo_type type;
	Dwarf_Die die;
	bool more = depth < DEBUGINFO_DEPTH && debuginfo_child(parent, &die);

	for (; more; more = debuginfo_sibling(&die, &die)) {
		int64_t at = member_offset(&die);

		if (dwarf_tag(&die) != DW_TAG_member)
			continue;
		if (debuginfo_has_name(&die, name)) {
			*ret = die;
			*offset = at;
			return true;
		}
		if (dwarf_diename(&die) || debuginfo_type_of(&die, &type, &quiet) ||
		    debuginfo_type_class(&type) != DEBUGINFO_CLASS_STRUCT ||
		    !member_below(&type.die, name, depth + 1, ret, offset))
			continue;
		*offset = at < 0 || *offset < 0 ? -1 : *offset + at;
		return true;
	}
	return false;
}

int debuginfo_type_member(struct debuginfo *info, const struct debuginfo_type *type,
			  const char *name, int64_t *offset, struct debuginfo_type *ret,
			  const struct why *why)
{
	Dwarf_Die whole, member;
	char text[128];
	int err;

	debuginfo_type_text(type, text, sizeof(text));
	if (debuginfo_type_class(type) != DEBUGINFO_CLASS_STRUCT)
		return why_say(why, -EINVAL, "`%.80s` is asked of %s, which is no struct", name,
			       text);
	err = complete(info, type, &whole, why);
	if (err)
		return err;
	if (!member_below(&whole, name, 0, &member, offset))
		return why_say(why, -ENOENT, "%s has no member `%.80s`", text, name);
	if (is_bit_field(&member))
		return why_say(why, -ENOTSUP, "`%.80s` of %s is a bit-field, which can't be read",
			       name, text);
	if (*offset < 0)
		return why_say(why, -ENOTSUP, "`%.80s` of %s has no constant offset", name, text);
	return debuginfo_type_of(&member, ret, why);
}
