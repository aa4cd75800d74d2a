/* SPDX-License-Identifier: GPL-2.0-only */
/* Symbol maps: a profile resolved for one build, by build-id. */
#ifndef TURNPIKE_SYMBOLS_MAP_H
#define TURNPIKE_SYMBOLS_MAP_H

#include "symbols/why.h"

struct image;
struct symbols;

/*
 * Reads a map and holds it against IMAGE: -ESTALE if its build-id or the code
 * at a probed place is another. -EINVAL: malformed.
 */
int map_read(const char *path, const struct image *image, struct symbols **ret,
	     const struct why *why);

#endif
