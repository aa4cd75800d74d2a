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

/* -ENODATA: the image has no DWARF. Keeps IMAGE, which must outlive it. */
int debuginfo_open(struct image *image, struct debuginfo **ret);
void debuginfo_close(struct debuginfo *info);
/* The file that the DWARF was read from: the image's own or a separate one. */
const char *debuginfo_path(const struct debuginfo *info);
/* The compiler in its own words (DW_AT_producer), "" if it doesn't say. */
const char *debuginfo_producer(const struct debuginfo *info);

/*
 * Finds an out-of-line function by name. On failure WHY (of SIZE bytes) says
 * in words fit for the user why not ("inlined at 2 sites", "no such function").
 * NAME may be the symbol of one of gcc's clones, "close_ioa_socket.part.0"; by its
 * plain name a clone is found only where the plain function is gone.
 * The handle lives as long as INFO. -ENOENT: no such function, -ENOTSUP: inlined only.
 */
int debuginfo_function(struct debuginfo *info, const char *name, struct debuginfo_function **ret,
		       char *why, size_t size);
uint64_t debuginfo_function_entry(const struct debuginfo_function *function); /* ELF address */

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
