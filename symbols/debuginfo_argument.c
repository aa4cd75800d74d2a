// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which register has a parameter at a function's first instruction. DWARF's
 * own location there can be plainly wrong (a callee-saved register, the frame),
 * so it only tells which parameters are still there: those that are passed are
 * in the argument registers of the System V ABI, in order.
 */
#include <dwarf.h>
#include <errno.h>
#include "symbols/debuginfo_private.h"
#include "symbols/debuginfo_type.h"

#define DEBUGINFO_ARGUMENTS    6  /* rdi rsi rdx rcx r8 r9 */
#define DEBUGINFO_IN_REGISTERS 16 /* bytes: larger structs are passed in memory */

/* Clones drop parameters: these keep their name, but have no place. */
static bool is_passed(Dwarf_Die *parameter, uint64_t entry)
{
	Dwarf_Attribute attribute;
	Dwarf_Op *operation;
	size_t length;

	return dwarf_tag(parameter) == DW_TAG_formal_parameter &&
	       !dwarf_hasattr(parameter, DW_AT_const_value) &&
	       dwarf_attr(parameter, DW_AT_location, &attribute) &&
	       dwarf_getlocation_addr(&attribute, entry, &operation, &length, 1) == 1 &&
	       length > 0 && operation->atom != DW_OP_GNU_parameter_ref;
}

/* How many argument registers a parameter takes; -1: it depends on what is in the struct. */
static int registers_of(Dwarf_Die *parameter)
{
	const struct why quiet = {};
	struct debuginfo_type type;

	if (debuginfo_type_of(parameter, &type, &quiet))
		return -1;
	switch (debuginfo_type_class(&type)) {
	case DEBUGINFO_CLASS_FLOAT:
		return 0;
	case DEBUGINFO_CLASS_INTEGER:
	case DEBUGINFO_CLASS_POINTER:
		return debuginfo_type_size(&type) > 8 ? -1 : 1;
	case DEBUGINFO_CLASS_STRUCT:
		return debuginfo_type_size(&type) > DEBUGINFO_IN_REGISTERS ? 0 : -1;
	default:
		return -1;
	}
}

static int not_passed(struct debuginfo_function *function, const char *name, bool known,
		      const struct why *why)
{
	if (known)
		return why_say(why, -ENOTSUP,
			       "the compiler left out the parameter `%.80s` of `%.80s`", name,
			       function->name);
	return why_say(why, -ENOENT, "`%.80s` has no parameter `%.80s`", function->name, name);
}

/* A clone may have lost the parameter; what it was cloned from still names it. */
static bool origin_has(struct debuginfo_function *function, const char *name)
{
	Dwarf_Attribute attribute;
	Dwarf_Die origin, die;
	bool more;

	if (!dwarf_attr(&function->die, DW_AT_abstract_origin, &attribute) ||
	    !dwarf_formref_die(&attribute, &origin))
		return false;
	for (more = debuginfo_child(&origin, &die); more; more = debuginfo_sibling(&die, &die))
		if (dwarf_tag(&die) == DW_TAG_formal_parameter && debuginfo_has_name(&die, name))
			return true;
	return false;
}

static int passed(struct debuginfo_function *function, const char *name, Dwarf_Die *ret,
		  struct debuginfo_place *ret_place, const struct why *why)
{
	bool known = origin_has(function, name);
	unsigned int next = 0;
	Dwarf_Die die;
	bool more;

	for (more = debuginfo_child(&function->die, &die); more;
	     more = debuginfo_sibling(&die, &die)) {
		bool wanted = dwarf_tag(&die) == DW_TAG_formal_parameter &&
			      debuginfo_has_name(&die, name);
		int registers;

		known |= wanted;
		if (!is_passed(&die, function->entry))
			continue;
		registers = registers_of(&die);
		if (wanted && registers == 1 && next < DEBUGINFO_ARGUMENTS) {
			*ret = die;
			ret_place->kind = DEBUGINFO_REGISTER;
			ret_place->base = TP_BASE_ARG0 + next;
			return 0;
		}
		if (wanted)
			return why_say(why, -ENOTSUP,
				       "the parameter `%.80s` of `%.80s` is not in a "
				       "register of its own",
				       name, function->name);
		if (registers < 0)
			return why_say(why, -ENOTSUP,
				       "`%.80s` takes a struct by value before `%.80s`",
				       function->name, name);
		next += registers;
	}
	return not_passed(function, name, known, why);
}

/* An inlined copy's parameter is where DWARF says: there is no call, and no convention for it. */
static int copied(struct debuginfo_function *function, const char *name, Dwarf_Die *ret,
		  struct debuginfo_place *ret_place, const struct why *why)
{
	const char *around = dwarf_diename(&function->outer);
	char detail[128];
	Dwarf_Die die;
	bool more;
	int err;

	if (!around)
		around = "a function";
	for (more = debuginfo_child(&function->die, &die); more;
	     more = debuginfo_sibling(&die, &die)) {
		if (dwarf_tag(&die) != DW_TAG_formal_parameter || !debuginfo_has_name(&die, name))
			continue;
		*ret = die;
		err = debuginfo_place(function, &die, ret_place,
				      &(struct why){detail, sizeof(detail)});
		if (!err)
			return 0;
		return why_say(why, err, "inlined in %.64s at 0x%llx, where `%.64s` is %s", around,
			       (unsigned long long)function->entry, name, detail);
	}
	if (origin_has(function, name))
		return why_say(why, -ENOTSUP, "inlined in %.64s at 0x%llx without `%.64s`", around,
			       (unsigned long long)function->entry, name);
	return why_say(why, -ENOENT, "`%.80s` has no parameter `%.80s`", function->name, name);
}

int debuginfo_argument(struct debuginfo_function *function, const char *name, Dwarf_Die *ret,
		       struct debuginfo_place *ret_place, const struct why *why)
{
	if (function->is_inlined)
		return copied(function, name, ret, ret_place, why);
	return passed(function, name, ret, ret_place, why);
}
