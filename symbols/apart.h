/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Resolving in a child without privileges: what it reads (ELF, DWARF, YAML) may be hostile.
 * It has a user id of its own, no network, no files but those that the parent opens for it, a few
 * system calls, and limits on memory and time. What comes back is checked (result.h).
 */
#ifndef TURNPIKE_SYMBOLS_APART_H
#define TURNPIKE_SYMBOLS_APART_H

#include "symbols/symbols.h"

struct image;

#define APART_SECONDS 5
#define APART_MEMORY  (1ULL << 30) /* address space, bytes */
#define APART_USER    61173 /* nobody else's: neither Debian nor systemd gives it to anyone */

/*
 * As symbols_resolve(), for an IMAGE that was opened unread; its build-id is known after
 * it, on failures too. REBASE, if not NULL, is opened unread as well: the symbols are for it then
 * (symbols_rebase()). Moreover -EBADMSG with WHY: reading crashed, hung, or what came of it made no
 * sense.
 */
int apart_resolve(struct image *image, struct image *rebase, const struct symbols_options *options,
		  struct symbols **ret, char *why);

#endif
