/* SPDX-License-Identifier: GPL-2.0-only */
/* Plans into the kernel, probes onto the server's code. */
#ifndef TURNPIKE_PROBES_ATTACH_H
#define TURNPIKE_PROBES_ATTACH_H

#include <stdbool.h>
#include <stdint.h>
#include "probes/plan.h"
#include "probes/probe.h"

struct uprobe_bpf;
struct bpf_link;

struct attach {
	struct uprobe_bpf *skeleton; /* loaded; not owned */
	struct attach_probe {
		struct bpf_link *link; /* NULL: taken off */
		unsigned int plan;
		uint64_t until; /* seconds of CLOCK_MONOTONIC; 0: it stays */
	} probe[2 * TP_PLANS];
	unsigned int probes;
	unsigned int plans;
};

/*
 * Attaches PLAN at OFFSET of the file PATH, for the process PID alone; a plan
 * that runs at return takes two probes. Returns the plan's index, which is
 * its index in probe_stats too, or negative errno.
 */
int attach_plan(struct attach *attach, const struct tp_plan *plan, int pid, const char *path,
		uint64_t offset);

/*
 * Takes off the probes whose time is over (tp_plan.lasts). Returns the seconds until the
 * next one's is, or -1: all others stay.
 */
int attach_expire(struct attach *attach);
/* Is a plan's probe still on? */
bool attach_is_on(const struct attach *attach, unsigned int plan);

/* Detaches all. */
void attach_free(struct attach *attach);

#endif
