/* SPDX-License-Identifier: GPL-2.0-only */
/* What `resolve` and `map` look at: a program by path or by pid, and its symbols. */
#ifndef TURNPIKE_SRC_TARGET_H
#define TURNPIKE_SRC_TARGET_H

#include <stdbool.h>
#include <sys/types.h>

struct image;
struct symbols;

struct target {
	const char *path; /* or pid */
	pid_t pid;
	const char *symbols_dir, *profiles_dir;
	const char *same_code; /* a stripped program of the same code, that the symbols are to be
				  for; or NULL */
	bool no_map;

	struct image *image;
	struct symbols *symbols;
};

/* Resolves it; after one line on stderr, a negative errno. */
int target_open(struct target *target);
void target_close(struct target *target);

/* What is wrong with a file that can't be opened as a program. */
const char *target_error(int err);

#endif
