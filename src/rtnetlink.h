/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the files that speak netlink: how a question is put. */
#ifndef TURNPIKE_SRC_RTNETLINK_H
#define TURNPIKE_SRC_RTNETLINK_H

#include <stdbool.h>
#include <sys/types.h>
#include <libmnl/libmnl.h>
#include "src/netlink.h"

struct neighbour {
	uint32_t ifindex;
	struct address address;
	uint8_t mac[6];
};

struct netlink {
	struct mnl_socket *ask, *watch;
	struct mnl_socket *generic, *netdev_watch;
	uint16_t netdev; /* the generic family's number; 0: this kernel has none */
	int poll;	 /* epoll of both that are watched */
	unsigned int sequence;
	uid_t uid; /* whose routes are asked for */
	/* Those that hops go by, all with a MAC: only their news counts. */
	struct neighbour known[NETLINK_NEIGHBOURS];
	unsigned int neighbours;
	bool changed;
	bool rules_known, rules_by_more; /* see netlink_rules_by_more() */
};

/* Begins a request in BUFFER, which has room for all that is put into it. */
struct nlmsghdr *netlink_request(void *buffer, uint16_t type, uint16_t flags);

/* Sends a request over SOCKET, hands its answers to CALLBACK. Negative errno, the kernel's too. */
int netlink_talk(struct netlink *netlink, struct mnl_socket *socket, struct nlmsghdr *header,
		 mnl_cb_t callback, void *data);

/* The attribute's address, or none (family 0) if it is of another length. */
struct address netlink_attr_address(const struct nlattr *attr, uint8_t family);

void netlink_put_address(struct nlmsghdr *header, uint16_t type, const struct address *address);

/* Opens what netlink_xdp_features() asks, and what tells its news. */
int netdev_open(struct netlink *netlink);

/* News of a neighbour; true if hops went by it, and its MAC is another now, or none. */
bool neighbours_news(struct netlink *netlink, const struct nlmsghdr *header);

#endif
