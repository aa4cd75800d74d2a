/* SPDX-License-Identifier: GPL-2.0-only */
/* Next hops that the fast path could not find by itself. */
#ifndef TURNPIKE_SRC_HOPS_H
#define TURNPIKE_SRC_HOPS_H

#include "bpf/table.h"

struct engine;
struct interfaces;
struct netlink;

/*
 * Looks up, as the server's own socket would, where a direction of a binding
 * leaves, and writes it where the fast path looks for it. -ENOENT: the neighbour is being
 * resolved; -ENETUNREACH: not by an interface that is ours.
 */
int hops_resolve(struct engine *engine, struct netlink *netlink, struct interfaces *interfaces,
		 tp_handle handle, __u32 direction);

/* Makes every cached hop void: routes, links, addresses or neighbours changed. */
void hops_invalidate(struct engine *engine);

#endif
