/* SPDX-License-Identifier: GPL-2.0-only */
/* Which hook suits an interface, and what it can do for packets that leave by it. */
#ifndef TURNPIKE_SRC_CHOICE_H
#define TURNPIKE_SRC_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include "src/hook.h"

struct netlink;
struct netlink_link;

/* What --hook auto begins with; WHY says why. */
enum hook choice_hook(struct netlink *netlink, const struct netlink_link *link, char *why,
		      size_t size);

/*
 * May a native XDP program redirect packets to it? As the kernel says; where it
 * doesn't yet (before 6.3), only to hardware and veth: whatever is built on other
 * devices may drop them all without a word.
 */
bool choice_transmits(struct netlink *netlink, const struct netlink_link *link);

#endif
