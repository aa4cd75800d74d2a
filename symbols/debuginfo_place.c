// SPDX-License-Identifier: GPL-2.0-only
/*
 * DWARF's locations of parameters, where an inlined copy begins: a register, memory at a
 * register, or a register and an offset. What is nowhere in one place there is refused in
 * words: in pieces, a constant, or known only as it was when the outer function began.
 */
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include "symbols/debuginfo_private.h"
#include "symbols/image.h"

#define DEBUGINFO_OPERATIONS 16
#define DEBUGINFO_FAR	     (1 << 30)

/* DWARF's numbers (System V ABI for x86-64, figure 3.36) to struct pt_regs'. */
static const unsigned char base_of[16] = {
	TP_BASE_RAX, TP_BASE_RDX, TP_BASE_RCX, TP_BASE_RBX, TP_BASE_RSI, TP_BASE_RDI,
	TP_BASE_RBP, TP_BASE_RSP, TP_BASE_R8,  TP_BASE_R9,  TP_BASE_R10, TP_BASE_R11,
	TP_BASE_R12, TP_BASE_R13, TP_BASE_R14, TP_BASE_R15,
};

/* REGISTER and OFFSET of one operation that names a register; false: it doesn't. */
static bool decode(const Dwarf_Op *operation, struct debuginfo_place *ret)
{
	Dwarf_Word number;
	int64_t offset = 0;

	if (operation->atom >= DW_OP_reg0 && operation->atom <= DW_OP_reg31) {
		number = operation->atom - DW_OP_reg0;
		ret->kind = DEBUGINFO_REGISTER;
	} else if (operation->atom == DW_OP_regx) {
		number = operation->number;
		ret->kind = DEBUGINFO_REGISTER;
	} else if (operation->atom >= DW_OP_breg0 && operation->atom <= DW_OP_breg31) {
		number = operation->atom - DW_OP_breg0;
		offset = (int64_t)operation->number;
		ret->kind = DEBUGINFO_MEMORY;
	} else if (operation->atom == DW_OP_bregx) {
		number = operation->number;
		offset = (int64_t)operation->number2;
		ret->kind = DEBUGINFO_MEMORY;
	} else {
		return false;
	}
	if (number >= sizeof(base_of) || offset > DEBUGINFO_FAR || offset < -DEBUGINFO_FAR)
		return false;
	ret->base = base_of[number];
	ret->offset = (int32_t)offset;
	return true;
}

/* The canonical frame address, by the unwind tables, which stripped programs have too. */
static int call_frame(struct debuginfo *info, uint64_t at, struct debuginfo_place *ret,
		      const struct why *why)
{
	Dwarf_Frame *frame = NULL;
	Dwarf_Op *operation;
	size_t length;
	int err = 0;

	if (!info->frames)
		info->frames = dwarf_getcfi_elf(image_elf(info->image));
	if (!info->frames || dwarf_cfi_addrframe(info->frames, at, &frame))
		return why_say(why, -ENOTSUP, "the frame at 0x%llx isn't described",
			       (unsigned long long)at);
	if (dwarf_frame_cfa(frame, &operation, &length) || length != 1 || !decode(operation, ret) ||
	    ret->kind != DEBUGINFO_MEMORY)
		err = why_say(why, -ENOTSUP, "the frame at 0x%llx is not at a register",
			      (unsigned long long)at);
	free(frame);
	return err;
}

/* What DW_OP_fbreg counts from: DW_AT_frame_base of the function around. */
static int frame_base(struct debuginfo_function *function, struct debuginfo_place *ret,
		      const struct why *why)
{
	Dwarf_Attribute attribute;
	Dwarf_Op *operation;
	size_t length;

	if (!dwarf_attr_integrate(&function->outer, DW_AT_frame_base, &attribute) ||
	    dwarf_getlocation_addr(&attribute, function->entry, &operation, &length, 1) != 1 ||
	    length != 1)
		return why_say(why, -ENOTSUP, "the function's frame isn't described");
	if (operation->atom == DW_OP_call_frame_cfa)
		return call_frame(function->info, function->entry, ret, why);
	if (!decode(operation, ret))
		return why_say(why, -ENOTSUP, "the function's frame is at no register");
	if (ret->kind == DEBUGINFO_REGISTER)
		ret->offset = 0; /* the register is the address */
	return 0;
}

static int at_frame(struct debuginfo_function *function, const Dwarf_Op *operation,
		    struct debuginfo_place *ret, const struct why *why)
{
	int64_t offset = (int64_t)operation->number;
	int err = frame_base(function, ret, why);

	if (err)
		return err;
	if (offset > DEBUGINFO_FAR || offset < -DEBUGINFO_FAR)
		return why_say(why, -EINVAL, "an offset of more than 1 GiB");
	ret->offset += (int32_t)offset;
	ret->kind = DEBUGINFO_MEMORY;
	return 0;
}

/*
 * A register as it was when the outer function began: that is what it still is where the
 * copy begins at that very instruction, nowhere else.
 */
static int at_entry(struct debuginfo_function *function, Dwarf_Attribute *attribute,
		    Dwarf_Op *operation, struct debuginfo_place *ret, const struct why *why)
{
	Dwarf_Attribute inner;
	Dwarf_Op *operand;
	uint64_t entry;
	size_t length;

	if (!debuginfo_entry(&function->outer, &entry) && entry == function->entry &&
	    !dwarf_getlocation_attr(attribute, operation, &inner) &&
	    !dwarf_getlocation(&inner, &operand, &length) && length == 1 && decode(operand, ret) &&
	    ret->kind == DEBUGINFO_REGISTER)
		return 0;
	return why_say(why, -ENOTSUP,
		       "known there only as it was where the function around it begins");
}

static int refuse(const Dwarf_Op *operation, size_t length, const struct why *why)
{
	for (size_t i = 0; i < length && i < DEBUGINFO_OPERATIONS; i++)
		if (operation[i].atom == DW_OP_piece || operation[i].atom == DW_OP_bit_piece)
			return why_say(why, -ENOTSUP, "in pieces there");
	switch (operation->atom) {
	case DW_OP_implicit_value:
	case DW_OP_implicit_pointer:
	case DW_OP_GNU_implicit_pointer:
		return why_say(why, -ENOTSUP, "optimised to a constant there");
	default:
		return why_say(why, -ENOTSUP, "calculated there (DWARF operation 0x%x)",
			       operation->atom);
	}
}

int debuginfo_place(struct debuginfo_function *function, Dwarf_Die *parameter,
		    struct debuginfo_place *ret, const struct why *why)
{
	Dwarf_Attribute attribute;
	Dwarf_Op *operation;
	size_t length;
	int err;

	if (dwarf_hasattr(parameter, DW_AT_const_value))
		return why_say(why, -ENOTSUP, "a constant there");
	if (!dwarf_attr(parameter, DW_AT_location, &attribute) ||
	    dwarf_getlocation_addr(&attribute, function->entry, &operation, &length, 1) != 1 ||
	    !length)
		return why_say(why, -ENOTSUP, "without a location there");
	if (operation->atom == DW_OP_entry_value || operation->atom == DW_OP_GNU_entry_value)
		return at_entry(function, &attribute, operation, ret, why);
	if (operation->atom == DW_OP_fbreg) {
		err = at_frame(function, operation, ret, why);
		if (err)
			return err;
	} else if (!decode(operation, ret)) {
		return refuse(operation, length, why);
	}
	if (length == 1)
		return 0;
	if (length == 2 && ret->kind == DEBUGINFO_MEMORY &&
	    operation[1].atom == DW_OP_stack_value) {
		ret->kind = DEBUGINFO_ADDRESS;
		return 0;
	}
	return refuse(operation, length, why);
}
