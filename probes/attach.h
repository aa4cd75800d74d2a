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
	struct bpf_link *link[2 * TP_PLANS];
	unsigned int links;
	unsigned int plans;
};

/*
 * Attaches PLAN at OFFSET of the file PATH, for the process PID alone; a plan
 * that runs at return takes two probes. Returns the plan's index, which is
 * its index in probe_stats too, or negative errno.
 */
int attach_plan(struct attach *attach, const struct tp_plan *plan, int pid, const char *path,
		uint64_t offset);

/* Detaches all. */
void attach_free(struct attach *attach);

#endif
