/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How symbols/ comes to files. In the child that reads untrusted input no path can be
 * opened: there the parent opens them (apart.c), if they are where such files lie.
 */
#ifndef TURNPIKE_SYMBOLS_OPENER_H
#define TURNPIKE_SYMBOLS_OPENER_H

#include <stddef.h>

struct opener {
	/* A descriptor to read the file at PATH by, a regular one; or negative errno. */
	int (*open)(void *context, const char *path);
	/* Names in the folder PATH that end in ".yaml", sorted, '\n' after each; 0 or negative
	 * errno. */
	int (*list)(void *context, const char *path, char *ret, size_t size);
	void *context;
};

#define OPENER_LIST 4096 /* bytes for the names of a folder */

/* With this process's own rights. */
extern const struct opener opener_own;

#endif
