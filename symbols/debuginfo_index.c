// SPDX-License-Identifier: GPL-2.0-only
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/debuginfo_index.h"

#define DEBUGINFO_INDEX_ENTRIES (8u << 20) /* 48 bytes each */

bool debuginfo_child(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Die child;

	if (dwarf_child(die, &child) || dwarf_dieoffset(&child) <= dwarf_dieoffset(die))
		return false;
	*ret = child;
	return true;
}

bool debuginfo_sibling(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Die next;

	if (dwarf_siblingof(die, &next) || dwarf_dieoffset(&next) <= dwarf_dieoffset(die))
		return false;
	*ret = next;
	return true;
}

bool debuginfo_unit(Dwarf *dwarf, Dwarf_CU **unit, Dwarf_Die *ret)
{
	Dwarf_Die skeleton, split;

	do {
		if (dwarf_get_units(dwarf, *unit, unit, NULL, NULL, &skeleton, &split))
			return false;
		/* For a type unit the second is the type, which is among the unit's children. */
		*ret = split.cu && dwarf_tag(&split) == DW_TAG_compile_unit ? split : skeleton;
	} while (!ret->addr);
	return true;
}

bool debuginfo_is(Dwarf_Die *die, unsigned int attribute)
{
	Dwarf_Attribute found;
	bool flag;

	return dwarf_attr(die, attribute, &found) && !dwarf_formflag(&found, &flag) && flag;
}

bool debuginfo_has_name(Dwarf_Die *die, const char *name)
{
	const char *known = dwarf_diename(die);

	return known && !strcmp(known, name);
}

static int add(struct debuginfo_index *index, const char *name, const Dwarf_Die *die)
{
	if (index->count == index->room) {
		size_t room = index->room ? 2 * index->room : 1024;
		struct debuginfo_entry *entry;

		if (room > DEBUGINFO_INDEX_ENTRIES)
			return -E2BIG;
		entry = reallocarray(index->entry, room, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		index->entry = entry;
		index->room = room;
	}
	index->entry[index->count++] = (struct debuginfo_entry){name, *die};
	return 0;
}

static int add_unit(struct debuginfo_index *index, Dwarf_Die *unit, bool (*wanted)(Dwarf_Die *))
{
	Dwarf_Die die;
	int err = 0;

	if (!debuginfo_child(unit, &die))
		return 0;
	do {
		const char *name = wanted(&die) ? dwarf_diename(&die) : NULL;

		if (name)
			err = add(index, name, &die);
	} while (!err && debuginfo_sibling(&die, &die));
	return err;
}

int debuginfo_index_add(struct debuginfo_index *index, Dwarf *dwarf, bool (*wanted)(Dwarf_Die *))
{
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;
	int err = 0;

	while (!err && debuginfo_unit(dwarf, &unit, &die))
		err = add_unit(index, &die, wanted);
	return err;
}

static int compare(const void *a, const void *b)
{
	const struct debuginfo_entry *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order)
		return order;
	/* Addresses in the section: a stable order within one file. */
	return x->die.addr < y->die.addr ? -1 : x->die.addr > y->die.addr;
}

void debuginfo_index_sort(struct debuginfo_index *index)
{
	if (index->count)
		qsort(index->entry, index->count, sizeof(*index->entry), compare);
}

void debuginfo_index_free(struct debuginfo_index *index)
{
	free(index->entry);
}

const struct debuginfo_entry *debuginfo_index_find(const struct debuginfo_index *index,
						   const char *name, size_t *count)
{
	size_t low = 0, high = index->count, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(index->entry[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < index->count && !strcmp(index->entry[end].name, name); end++)
		;
	*count = end - low;
	return index->entry + low;
}
