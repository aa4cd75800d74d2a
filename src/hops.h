/* SPDX-License-Identifier: GPL-2.0-only */
/* Next hops: where each direction of a binding leaves, as the server's own socket would send. */
#ifndef TURNPIKE_SRC_HOPS_H
#define TURNPIKE_SRC_HOPS_H

#include <stdbool.h>
#include "bpf/table.h"

struct engine;
struct interfaces;
struct netlink;

struct hops {
	struct engine *engine;
	struct netlink *netlink;
	struct interfaces *interfaces;
	bool rules_said; /* that routing rules leave everything to the server */
};

/*
 * Looks up where a direction of a binding leaves, and writes it where the fast
 * path looks for it. -ENOENT: the neighbour is being resolved; -ENETUNREACH: not
 * by an interface that is ours.
 */
int hops_resolve(struct hops *hops, tp_handle handle, __u32 direction);

/* Reads what the kernel tells of its network; true if any of it is news: every hop is void then. */
bool hops_watch(struct hops *hops);

/* Makes every next hop void. */
void hops_invalidate(struct hops *hops);

#endif
