/* SPDX-License-Identifier: GPL-2.0-only */
/* C's types as DWARF tells them: what an expression's steps need. Internal to debuginfo*.c. */
#ifndef TURNPIKE_SYMBOLS_DEBUGINFO_TYPE_H
#define TURNPIKE_SYMBOLS_DEBUGINFO_TYPE_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>
#include "symbols/expression.h"
#include "symbols/why.h"

struct debuginfo;

/* A type of the program, or one of C's own that a cast names; with stars put after it. */
struct debuginfo_type {
	enum {
		DEBUGINFO_TYPE_DIE,
		DEBUGINFO_TYPE_INTEGER,
		DEBUGINFO_TYPE_VOID,
	} kind;
	unsigned int stars;
	unsigned int size; /* of an integer of C's own */
	Dwarf_Die die;	   /* no typedef or qualifier, after debuginfo_type_of() */
};

enum debuginfo_class {
	DEBUGINFO_CLASS_INTEGER, /* bool, char and enum too */
	DEBUGINFO_CLASS_POINTER,
	DEBUGINFO_CLASS_STRUCT, /* struct and union */
	DEBUGINFO_CLASS_ARRAY,
	DEBUGINFO_CLASS_FLOAT,
	DEBUGINFO_CLASS_VOID,
	DEBUGINFO_CLASS_OTHER,
};

/* The type that DIE's DW_AT_type names, typedefs and qualifiers peeled off; none is void. */
int debuginfo_type_of(Dwarf_Die *die, struct debuginfo_type *ret, const struct why *why);
/* The type that a cast names, as seen from the unit of NEAR. */
int debuginfo_type_named(struct debuginfo *info, Dwarf_Die *near,
			 const struct expression_type *name, struct debuginfo_type *ret,
			 const struct why *why);

enum debuginfo_class debuginfo_type_class(const struct debuginfo_type *type);
/* In bytes; -1 if it isn't known. */
int64_t debuginfo_type_size(const struct debuginfo_type *type);
/* Elements of an array; -1 if it isn't known. */
int64_t debuginfo_type_count(const struct debuginfo_type *type);
/* In words for the user: "struct foo". */
const char *debuginfo_type_text(const struct debuginfo_type *type, char *ret, size_t size);

/* What a pointer points to, or an array consists of. */
int debuginfo_type_target(const struct debuginfo_type *type, struct debuginfo_type *ret,
			  const struct why *why);
/* A member of a struct or union, also of an anonymous one within; OFFSET in bytes. */
int debuginfo_type_member(struct debuginfo *info, const struct debuginfo_type *type,
			  const char *name, int64_t *offset, struct debuginfo_type *ret,
			  const struct why *why);

#endif
