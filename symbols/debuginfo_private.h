/* SPDX-License-Identifier: GPL-2.0-only */
/* What debuginfo*.c share. */
#ifndef TURNPIKE_SYMBOLS_DEBUGINFO_PRIVATE_H
#define TURNPIKE_SYMBOLS_DEBUGINFO_PRIVATE_H

#include "symbols/debuginfo.h"
#include "symbols/debuginfo_index.h"
#include "symbols/why.h"

struct debuginfo_function {
	struct debuginfo *info;
	struct debuginfo_function *next; /* all that were handed out */
	char *name;
	uint64_t entry;
	Dwarf_Die die;		/* the concrete, out-of-line one */
	bool changed_signature; /* gcc's .isra: its return value may be gone */
};

struct debuginfo {
	struct image *image;
	struct image *separate; /* its debug file, if the DWARF is there */
	Dwarf *dwarf;
	struct debuginfo_index functions;
	struct debuginfo_index types; /* filled when first asked for */
	bool types_ready;
	struct debuginfo_function *handed_out;
};

/* Opens the debug file that belongs to IMAGE by its build-id; -ENOENT: there is none. */
int debuginfo_file_open(const struct image *image, struct image **ret);

/* The register of a parameter at the function's entry, as enum tp_base. */
int debuginfo_argument(struct debuginfo_function *function, const char *name, Dwarf_Die *ret,
		       unsigned int *base, const struct why *why);

#endif
