/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What outlives turnpike: maps and links of a server, /sys/fs/bpf/turnpike/PID/NAME
 * with the server's pid, for root alone. As long as a link is pinned, it is attached.
 */
#ifndef TURNPIKE_SRC_PINS_H
#define TURNPIKE_SRC_PINS_H

#include <stdbool.h>
#include <sys/types.h>

#define PINS_NAME 64

/* Makes the server's folder, and mounts bpffs if nobody has. */
int pins_open(pid_t pid);

/* Pins FD; what had that name is let go only then. */
int pins_put(pid_t pid, const char *name, int fd);

/* A descriptor of what is pinned there, or -errno. */
int pins_get(pid_t pid, const char *name);

/* Lets go what is pinned under names that begin with PREFIX and that IS_KEPT, if any, refuses. */
void pins_drop(pid_t pid, const char *prefix, bool (*is_kept)(const char *name, void *data),
	       void *data);

/* All of it: what was attached is detached, the fast path first. */
void pins_remove(pid_t pid);

/* Calls EACH with the pid of every server that something is pinned for. */
void pins_each(void (*each)(pid_t pid, void *data), void *data);

#endif
