/* SPDX-License-Identifier: GPL-2.0-only */
/* Questions to rtnetlink, in the network namespace the caller was in at netlink_open(). */
#ifndef TURNPIKE_SRC_NETLINK_H
#define TURNPIKE_SRC_NETLINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <net/if.h>
#include "src/address.h"

struct netlink;

/* Routes are asked for as those of UID's sockets. NULL: errno says why. */
struct netlink *netlink_open(uid_t uid);
void netlink_close(struct netlink *netlink);

struct netlink_link {
	uint32_t ifindex;
	char name[IFNAMSIZ];
	char kind[16]; /* "veth", "vlan", "bridge" and so on; "" for hardware */
	uint8_t mac[6];
	uint16_t mtu;
	bool up, loopback, ethernet;
	/*
	 * Frames that are sent by XDP_TX stay in its peer's ring unless the peer runs
	 * an XDP program too (veth_xdp_flush() in drivers/net/veth.c); those that are
	 * redirected need only NAPI there.
	 */
	bool veth;
	uint16_t vlan_id, vlan_proto; /* of a VLAN device: host order; as it lies in a frame */
	uint32_t other;	     /* ifindex of what a VLAN device is on, of a veth's peer; 0: none */
	int32_t other_netns; /* that one's network namespace, an id here; -1: this one */
};

/* By index; -ENODEV if there is none. */
int netlink_link(struct netlink *netlink, uint32_t ifindex, struct netlink_link *ret);

/* enum netdev_xdp_act of include/uapi/linux/netdev.h, as far as it is asked for. */
enum {
	NETLINK_XDP_BASIC = 1 << 0,    /* runs XDP programs */
	NETLINK_XDP_TRANSMIT = 1 << 2, /* others' frames may be redirected to it */
};

/* Does this kernel say what devices can do with XDP frames? From 6.3 on. */
bool netlink_says_features(const struct netlink *netlink);
/* What one can do; -EOPNOTSUPP if the kernel doesn't say. */
int netlink_xdp_features(struct netlink *netlink, uint32_t ifindex, uint64_t *ret);

/*
 * Does a veth's peer leave checksums unfinished? 1, 0, or a negative errno if it
 * can't be found.
 */
int netlink_peer_offloads(struct netlink *netlink, const struct netlink_link *link);

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

/* Do routing rules ask for ports, TOS or the like? Then addresses don't say the route. */
bool netlink_rules_by_more(struct netlink *netlink);

#define NETLINK_NEIGHBOURS 4096

/*
 * MAC of a neighbour, which is kept confirmed from now on, and whose changes are
 * told. -ENOENT: not known (then the kernel is asked to find it); -ENOSPC: one
 * more than NETLINK_NEIGHBOURS.
 */
int netlink_neighbour(struct netlink *netlink, uint32_t ifindex, const struct address *address,
		      uint8_t *ret_mac);

typedef bool netlink_is_served_fn(pid_t pid);

/* Removes an interface's filters of turnpikes that were killed: whose process serves nobody. */
void netlink_sweep_filters(struct netlink *netlink, uint32_t ifindex,
			   netlink_is_served_fn *is_served);

/* Watching for changes: readable when something happened. */
int netlink_watch_fd(const struct netlink *netlink);
/* Reads all that is there; true if routes, rules, addresses, links or neighbours changed. */
bool netlink_watch_changed(struct netlink *netlink);

#endif
