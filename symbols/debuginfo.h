/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names to places by DWARF: functions to entry addresses, C expressions over a
 * function's parameters to paths (probes/plan.h). The only user of libdw.
 */
#ifndef TURNPIKE_SYMBOLS_DEBUGINFO_H
#define TURNPIKE_SYMBOLS_DEBUGINFO_H

#include <stddef.h>
#include <stdint.h>
#include "probes/plan.h"

struct debuginfo;
struct debuginfo_function;
struct image;

/* Where else debug files may be. */
struct debuginfo_files {
	const char *root; /* of the program's own file system, or NULL */
	const char *file; /* of this program, found by other means; or NULL */
};

/*
 * -ENODATA: the image has no DWARF. Keeps IMAGE, which must outlive it. FILES may be
 * NULL.
 */
int debuginfo_open(struct image *image, const struct debuginfo_files *files,
		   struct debuginfo **ret);
void debuginfo_close(struct debuginfo *info);
/* The file that the DWARF was read from: the image's own or a separate one. */
const char *debuginfo_path(const struct debuginfo *info);
/* The compiler in its own words (DW_AT_producer), "" if it doesn't say. */
const char *debuginfo_producer(const struct debuginfo *info);

#define DEBUGINFO_SITES 32

enum debuginfo_wanted {
	DEBUGINFO_ENTRIES,     /* where functions begin, and inlined copies of them */
	DEBUGINFO_OUT_OF_LINE, /* copies are left alone */
	DEBUGINFO_RETURNS,     /* functions that return: there may be no copy */
};

/*
 * All places where calls of the function NAME arrive: its own code, clones that the compiler
 * made of it (not .part, which has but a part of it), and inlined copies. NAME may be the symbol of
 * one clone, "close_ioa_socket.part", with or without the number that follows; then it is that
 * alone. On failure WHY (of SIZE bytes) says in words fit for the user why not. The handles live as
 * long as INFO. -ENOENT: no such function, -ENOTSUP: not to be probed as wanted.
 */
int debuginfo_sites(struct debuginfo *info, const char *name, enum debuginfo_wanted wanted,
		    struct debuginfo_function **ret, unsigned int *ret_count, char *why,
		    size_t size);
uint64_t debuginfo_function_entry(const struct debuginfo_function *function); /* ELF address */
/* The function that an inlined copy is in; NULL: it is no copy. */
const char *debuginfo_function_within(const struct debuginfo_function *function);

struct debuginfo_walk {
	const char *table;		       /* expression: an array of buckets in memory */
	const char *slots, *more, *more_count; /* members of a bucket, see struct tp_walk */
};

/*
 * Resolves a walk over a table; after that "each" is a pointer to an element in the
 * function's expressions. Errors as of debuginfo_expression().
 */
int debuginfo_walk(struct debuginfo_function *function, const struct debuginfo_walk *names,
		   struct tp_walk *ret, char *why, size_t size);

/*
 * Resolves a C expression over the function's parameters, as
 * "ss->client_socket->remote_addr", "((turn_permission_info *)chn->owner)->addr",
 * "relay[0].s->x", "*(int *)server->lifetime", or "return" for the return value.
 * READ is TP_READ_SOCKADDR, TP_READ_STRING, or TP_READ_NONE for a number, which is
 * read in the width of the expression's type and not sign-extended.
 * -EINVAL: syntax or type error, -ENOENT: no such parameter or member,
 * -ENOTSUP: bit-field, or a parameter without location; WHY says it in words.
 */
int debuginfo_expression(struct debuginfo_function *function, const char *expression,
			 enum tp_read read, struct tp_path *ret, char *why, size_t size);

#endif
