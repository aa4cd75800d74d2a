/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Servers that come and go: each that appears is served by a process of its own,
 * which ends with it. So a server's trouble is nobody else's.
 */
#ifndef TURNPIKE_SRC_FOLLOW_H
#define TURNPIKE_SRC_FOLLOW_H

#include <stddef.h>
#include <sys/types.h>

struct supervise_options;

#define FOLLOW_TARGETS 16

struct follow_target {
	enum { FOLLOW_PID, FOLLOW_NAME, FOLLOW_UNIT } kind;
	pid_t pid;
	const char *name; /* of the program, or of the systemd unit */
};

/*
 * Until SIGINT or SIGTERM (0), or until all of the pids have ended and there is nothing
 * else to wait for (-ESRCH).
 */
int follow(const struct follow_target *targets, size_t count,
	   const struct supervise_options *options);

/* Is PID what the target means: such a program, or of that unit? */
int follow_matches(const struct follow_target *target, pid_t pid);

#endif
