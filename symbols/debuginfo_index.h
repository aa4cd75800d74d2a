/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DIEs by name, made in one pass over the units' top levels, and walking that
 * ends for every input. Internal to debuginfo*.c.
 */
#ifndef TURNPIKE_SYMBOLS_DEBUGINFO_INDEX_H
#define TURNPIKE_SYMBOLS_DEBUGINFO_INDEX_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>

#define DEBUGINFO_DEPTH 64 /* of nested DIEs, of typedefs, of anonymous members */

struct debuginfo_entry {
	const char *name;
	Dwarf_Die die;
};

struct debuginfo_index {
	struct debuginfo_entry *entry; /* sorted by name, then as found */
	size_t count;
	size_t room;
};

/* Adds what WANTED of all units of DWARF; sort when all are added. */
int debuginfo_index_add(struct debuginfo_index *index, Dwarf *dwarf, bool (*wanted)(Dwarf_Die *));
void debuginfo_index_sort(struct debuginfo_index *index);
void debuginfo_index_free(struct debuginfo_index *index);
/* First entry of this name, COUNT of them in a row. */
const struct debuginfo_entry *debuginfo_index_find(const struct debuginfo_index *index,
						   const char *name, size_t *count);

/* As dwarf_child and dwarf_siblingof, but forward only: hostile DWARF can't make them go round. */
bool debuginfo_child(Dwarf_Die *die, Dwarf_Die *ret);
bool debuginfo_sibling(Dwarf_Die *die, Dwarf_Die *ret);
/* The next unit's outermost DIE; UNIT begins as NULL. */
bool debuginfo_unit(Dwarf *dwarf, Dwarf_CU **unit, Dwarf_Die *ret);

bool debuginfo_is(Dwarf_Die *die, unsigned int attribute); /* a flag */
bool debuginfo_has_name(Dwarf_Die *die, const char *name);

#endif
