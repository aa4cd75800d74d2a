// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inlined copies of functions, found by walking all code once. A copy's origin may be
 * in another unit (link-time optimisation) or in dwz's alternate file; its name is found
 * there by libdw.
 */
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/debuginfo_private.h"

#define DEBUGINFO_COPIES (1u << 20)

static int add(struct debuginfo_copies *copies, const Dwarf_Die *die, const Dwarf_Die *outer)
{
	Dwarf_Die named = *die;
	const char *name = dwarf_diename(&named);
	uint64_t entry;

	if (!name || debuginfo_entry(&named, &entry))
		return 0;
	if (copies->count == copies->room) {
		size_t room = copies->room ? 2 * copies->room : 1024;
		struct debuginfo_copy *copy;

		if (room > DEBUGINFO_COPIES)
			return -E2BIG;
		copy = reallocarray(copies->copy, room, sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		copies->copy = copy;
		copies->room = room;
	}
	copies->copy[copies->count++] = (struct debuginfo_copy){name, *die, *outer};
	return 0;
}

/* OUTER: the function with code that PARENT is in; NULL: none yet. */
static int add_below(struct debuginfo_copies *copies, Dwarf_Die *parent, const Dwarf_Die *outer,
		     unsigned int depth)
{
	Dwarf_Die die;
	int err = 0;

	if (depth == DEBUGINFO_DEPTH || !debuginfo_child(parent, &die))
		return 0;
	do {
		const Dwarf_Die *in = outer;
		Dwarf_Die function = die;
		int tag = dwarf_tag(&die);
		uint64_t entry;

		if (tag == DW_TAG_subprogram) {
			if (debuginfo_entry(&function, &entry))
				continue;
			in = &function;
		}
		if (tag == DW_TAG_inlined_subroutine && in)
			err = add(copies, &die, in);
		if (!err && (tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
			     tag == DW_TAG_subprogram))
			err = add_below(copies, &die, in, depth + 1);
	} while (!err && debuginfo_sibling(&die, &die));
	return err;
}

static int compare(const void *a, const void *b)
{
	const struct debuginfo_copy *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order)
		return order;
	return x->die.addr < y->die.addr ? -1 : x->die.addr > y->die.addr;
}

static int find_all(struct debuginfo *info)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;
	int err = 0;

	while (!err && debuginfo_unit(info->dwarf, &unit, &die))
		err = add_below(&info->copies, &die, NULL, 0);
	if (err)
		return err;
	if (info->copies.count)
		qsort(info->copies.copy, info->copies.count, sizeof(*info->copies.copy), compare);
	info->copies_ready = true;
	return 0;
}

int debuginfo_copies_of(struct debuginfo *info, const char *name, const struct debuginfo_copy **ret,
			size_t *ret_count)
{
	const struct debuginfo_copies *copies = &info->copies;
	size_t low = 0, high, end;
	int err = info->copies_ready ? 0 : find_all(info);

	if (err)
		return err;
	high = copies->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(copies->copy[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < copies->count && !strcmp(copies->copy[end].name, name); end++)
		;
	*ret = copies->copy + low;
	*ret_count = end - low;
	return 0;
}
