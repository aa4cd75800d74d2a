/* SPDX-License-Identifier: GPL-2.0-only */
/* What turnpike may do, and what it gives up. */
#ifndef TURNPIKE_SRC_PRIVILEGES_H
#define TURNPIKE_SRC_PRIVILEGES_H

#include <stddef.h>

/*
 * Are the capabilities there that attaching needs? Names those that aren't in MISSING.
 * True as well for another user than root that was given them.
 */
int privileges_suffice(char *missing, size_t size);

/*
 * For who only follows servers: everything goes but what attaching needs. What is
 * executed later gains nothing.
 */
int privileges_drop_for_attaching(void);

/*
 * For who has attached: CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN stay, and the system
 * calls of a process that looks after what is there: it starts no program, traces
 * nobody, enters no namespace, mounts nothing.
 */
int privileges_drop(void);

/* For who needs none. */
int privileges_drop_all(void);

#endif
