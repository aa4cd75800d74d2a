/* SPDX-License-Identifier: GPL-2.0-only */
/* Where symbol maps and profiles lie. */
#ifndef TURNPIKE_SRC_PATHS_H
#define TURNPIKE_SRC_PATHS_H

struct symbols_options;

/*
 * The folders in their order: what the user names (or NULL), for maps
 * /etc/turnpike/symbols, what is installed, and what lies beside this program
 * in its source tree. RET keeps pointers to the arguments.
 */
void paths_symbols_options(const char *symbols_dir, const char *profiles_dir,
			   struct symbols_options *ret);

/* What is wrong with a folder that the user named, by errno; 0 if it can be listed. */
int paths_check(const char *directory);

#endif
