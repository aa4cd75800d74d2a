/* SPDX-License-Identifier: GPL-2.0-only */
/* What debuginfo*.c share. */
#ifndef TURNPIKE_SYMBOLS_DEBUGINFO_PRIVATE_H
#define TURNPIKE_SYMBOLS_DEBUGINFO_PRIVATE_H

#include "symbols/debuginfo.h"
#include "symbols/debuginfo_index.h"
#include "symbols/debuginfo_type.h"
#include "symbols/why.h"

struct debuginfo_function {
	struct debuginfo *info;
	struct debuginfo_function *next; /* all that were handed out */
	char *name;
	uint64_t entry;
	Dwarf_Die die;	 /* the concrete one, or an inlined copy */
	Dwarf_Die outer; /* the function that a copy is in; else the same */
	bool is_inlined;
	bool changed_signature; /* gcc's .isra: its return value may be gone */
	bool walks;		/* `each` is a pointer to this type: */
	struct debuginfo_type each;
};

/* An inlined copy, and the function with code that it is in. */
struct debuginfo_copy {
	const char *name;
	Dwarf_Die die, outer;
};

struct debuginfo_copies {
	struct debuginfo_copy *copy; /* sorted by name */
	size_t count, room;
};

/* What dwz has moved to a file that several share. */
struct debuginfo_alternate {
	int fd;
	struct Elf *elf;
	Dwarf *dwarf;	     /* NULL: nothing was moved, or the file is not to be found: */
	const char *missing; /* its name then, the debug information's own; else NULL */
};

struct debuginfo {
	struct image *image;
	struct image *separate; /* its debug file, if the DWARF is there */
	struct debuginfo_alternate alternate;
	Dwarf *dwarf;
	Dwarf_CFI *frames; /* of the image, opened when first asked for */
	struct debuginfo_index functions;
	struct debuginfo_index types; /* filled when first asked for; the copies too */
	bool types_ready, copies_ready;
	struct debuginfo_copies copies;
	struct debuginfo_function *handed_out;
};

/* Where the code of DIE begins; -ENOENT: it has none. */
int debuginfo_entry(Dwarf_Die *die, uint64_t *ret);

/* The inlined copies of NAME; *RET lives as long as INFO. -E2BIG, -ENOMEM. */
int debuginfo_copies_of(struct debuginfo *info, const char *name, const struct debuginfo_copy **ret,
			size_t *ret_count);

/* Where a parameter is at one instruction. */
struct debuginfo_place {
	enum {
		DEBUGINFO_REGISTER, /* the value is the register's */
		DEBUGINFO_MEMORY,   /* it lies at register + offset */
		DEBUGINFO_ADDRESS,  /* it is register + offset */
	} kind;
	unsigned int base; /* enum tp_base */
	int32_t offset;
};

/* Where DWARF says that PARAMETER is where FUNCTION, an inlined copy, begins. */
int debuginfo_place(struct debuginfo_function *function, Dwarf_Die *parameter,
		    struct debuginfo_place *ret, const struct why *why);

/* Opens the debug file that belongs to IMAGE by its build-id; -ENOENT: there is none. */
int debuginfo_file_open(const struct image *image, const struct debuginfo_files *files,
			struct image **ret);
/* Gives DWARF, of FILE, what dwz moved out of it, if it did and that is to be found. */
void debuginfo_file_alternate(const struct image *file, Dwarf *dwarf,
			      struct debuginfo_alternate *ret);
void debuginfo_file_alternate_close(struct debuginfo_alternate *alternate);

/* A parameter, and where it is where the function begins. */
int debuginfo_argument(struct debuginfo_function *function, const char *name, Dwarf_Die *ret,
		       struct debuginfo_place *ret_place, const struct why *why);

#endif
