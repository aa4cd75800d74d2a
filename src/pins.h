/* SPDX-License-Identifier: GPL-2.0-only */
/* Maps pinned for bpftool: /sys/fs/bpf/turnpike/PID/NAME, with the server's pid. */
#ifndef TURNPIKE_SRC_PINS_H
#define TURNPIKE_SRC_PINS_H

#include <stdbool.h>
#include <sys/types.h>

struct bpf_object;

/* Pins all maps of OBJECT, mounting bpffs if nobody has. */
int pins_make(struct bpf_object *object, pid_t pid);

void pins_remove(pid_t pid);

/* Removes what turnpikes that were killed have left: where IS_SERVED says no. */
void pins_sweep(bool (*is_served)(pid_t pid));

#endif
