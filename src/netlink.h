/* SPDX-License-Identifier: GPL-2.0-only */
/* Questions to rtnetlink, in the network namespace the caller was in at netlink_open(). */
#ifndef TURNPIKE_SRC_NETLINK_H
#define TURNPIKE_SRC_NETLINK_H

#include <stdbool.h>
#include <stdint.h>
#include <net/if.h>
#include "src/address.h"

struct netlink;

struct netlink *netlink_open(void); /* NULL: errno says why */
void netlink_close(struct netlink *netlink);

struct netlink_link {
	uint32_t ifindex;
	char name[IFNAMSIZ];
	uint8_t mac[6];
	uint16_t mtu;
	bool up, loopback, ethernet;
	/*
	 * Frames that are sent by XDP_TX stay in its peer's ring unless the peer runs
	 * an XDP program too (veth_xdp_flush() in drivers/net/veth.c); those that are
	 * redirected need only NAPI there.
	 */
	bool veth;
};

/* By index; -ENODEV if there is none. */
int netlink_link(struct netlink *netlink, uint32_t ifindex, struct netlink_link *ret);

typedef void netlink_address_fn(uint32_t ifindex, const struct address *address, void *data);

/* Calls EACH for every address of the machine. */
int netlink_addresses(struct netlink *netlink, netlink_address_fn *each, void *data);

struct netlink_route {
	uint32_t ifindex;
	struct address next; /* gateway, or the destination itself if it is on the link */
	uint16_t mtu;	     /* 0: the interface's */
	bool local;	     /* to this machine itself */
	bool unusable;	     /* unreachable, prohibited, multicast and so on */
};

/* The route of a datagram from SOURCE that this machine sends itself. */
int netlink_route(struct netlink *netlink, const struct address *source,
		  const struct address *destination, struct netlink_route *ret);

/* MAC of a neighbour; -ENOENT: not known (then the kernel is asked to find it). */
int netlink_neighbour(struct netlink *netlink, uint32_t ifindex, const struct address *address,
		      uint8_t *ret_mac);

/* Watching for changes: readable when something happened. */
int netlink_watch_fd(const struct netlink *netlink);
/* Reads all that is there; true if routes, rules, addresses, links or neighbours changed. */
bool netlink_watch_changed(struct netlink *netlink);

#endif
