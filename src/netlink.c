// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <net/if_arp.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <libmnl/libmnl.h>
#include "src/netlink.h"

#define NEIGHBOURS                                                                                 \
	1024 /* of which changes are told from mere refreshes; more: every event counts */

struct neighbour {
	uint32_t ifindex;
	struct address address;
	uint8_t mac[6];
};

struct netlink {
	struct mnl_socket *ask, *watch;
	unsigned int sequence;
	struct neighbour known[NEIGHBOURS];
	unsigned int neighbours;
	bool changed;
};

static const int netlink_groups[] = {
	RTNLGRP_LINK,	   RTNLGRP_NEIGH,	RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE,
	RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE,  RTNLGRP_IPV6_RULE,
};

static struct mnl_socket *netlink_socket(void)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (socket && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID)) {
		mnl_socket_close(socket);
		return NULL;
	}
	return socket;
}

struct netlink *netlink_open(void)
{
	struct netlink *netlink = calloc(1, sizeof(*netlink));
	int fd, size = 1 << 20;

	if (!netlink)
		return NULL;
	netlink->ask = netlink_socket();
	netlink->watch = netlink_socket();
	if (!netlink->ask || !netlink->watch)
		goto fail;
	fd = mnl_socket_get_fd(netlink->watch);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		goto fail;
	for (size_t i = 0; i < sizeof(netlink_groups) / sizeof(netlink_groups[0]); i++)
		if (mnl_socket_setsockopt(netlink->watch, NETLINK_ADD_MEMBERSHIP,
					  (void *)&netlink_groups[i], sizeof(int)))
			goto fail;
	return netlink;
fail:
	netlink_close(netlink);
	return NULL;
}

void netlink_close(struct netlink *netlink)
{
	if (!netlink)
		return;
	if (netlink->ask)
		mnl_socket_close(netlink->ask);
	if (netlink->watch)
		mnl_socket_close(netlink->watch);
	free(netlink);
}

/* Sends a request and hands its answers to CALLBACK. */
static int netlink_talk(struct netlink *netlink, struct nlmsghdr *header, mnl_cb_t callback,
			void *data)
{
	char buffer[32768];
	unsigned int port = mnl_socket_get_portid(netlink->ask);
	ssize_t length;
	int ret = MNL_CB_OK;

	header->nlmsg_seq = ++netlink->sequence;
	if (mnl_socket_sendto(netlink->ask, header, header->nlmsg_len) < 0)
		return -errno;
	while (ret > MNL_CB_STOP) {
		length = mnl_socket_recvfrom(netlink->ask, buffer, sizeof(buffer));
		if (length < 0)
			return -errno;
		ret = mnl_cb_run(buffer, length, header->nlmsg_seq, port, callback, data);
		if (ret < 0)
			return -errno;
	}
	return 0;
}

static struct nlmsghdr *netlink_request(void *buffer, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	return header;
}

static bool link_is_veth(const struct nlattr *nest)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(
		attr, nest) if (mnl_attr_get_type(attr) ==
				IFLA_INFO_KIND) return !strcmp(mnl_attr_get_str(attr), "veth");
	return false;
}

static int link_found(const struct nlmsghdr *header, void *data)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(header);
	struct netlink_link *link = data;
	const struct nlattr *attr;

	link->ifindex = info->ifi_index;
	link->up = info->ifi_flags & IFF_UP;
	link->loopback = info->ifi_flags & IFF_LOOPBACK;
	link->ethernet = info->ifi_type == ARPHRD_ETHER;
	mnl_attr_for_each(attr, header, sizeof(*info))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			strncpy(link->name, mnl_attr_get_str(attr), sizeof(link->name) - 1);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == sizeof(link->mac))
				memcpy(link->mac, mnl_attr_get_payload(attr), sizeof(link->mac));
			break;
		case IFLA_MTU:
			link->mtu = mnl_attr_get_u32(attr) > UINT16_MAX ? UINT16_MAX
									: mnl_attr_get_u32(attr);
			break;
		case IFLA_LINKINFO:
			link->veth = link_is_veth(attr);
			break;
		}
	}
	return MNL_CB_STOP;
}

int netlink_link(struct netlink *netlink, uint32_t ifindex, struct netlink_link *ret)
{
	char buffer[MNL_NLMSG_HDRLEN + 64];
	struct nlmsghdr *header = netlink_request(buffer, RTM_GETLINK, 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));

	memset(ret, 0, sizeof(*ret));
	info->ifi_index = ifindex;
	return netlink_talk(netlink, header, link_found, ret);
}

struct address_walk {
	netlink_address_fn *each;
	void *data;
};

/* The attribute's address, or none (family 0) if it is of another length. */
static struct address attr_address(const struct nlattr *attr, uint8_t family)
{
	struct address none = {};

	if ((family != AF_INET && family != AF_INET6) ||
	    mnl_attr_get_payload_len(attr) != address_length(family))
		return none;
	return address_of(family, mnl_attr_get_payload(attr));
}

static void put_address(struct nlmsghdr *header, uint16_t type, const struct address *address)
{
	mnl_attr_put(header, type, address_length(address->family), address->byte);
}

static int address_found(const struct nlmsghdr *header, void *data)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(header);
	struct address_walk *walk = data;
	struct address address = {};
	const struct nlattr *attr;

	/* IFA_LOCAL is its own address on a point-to-point link, where IFA_ADDRESS is the other's.
	 */
	mnl_attr_for_each(attr, header, sizeof(*info))
	{
		if (mnl_attr_get_type(attr) == IFA_LOCAL ||
		    (mnl_attr_get_type(attr) == IFA_ADDRESS && !address.family))
			address = attr_address(attr, info->ifa_family);
	}
	if (address.family)
		walk->each(info->ifa_index, &address, walk->data);
	return MNL_CB_OK;
}

int netlink_addresses(struct netlink *netlink, netlink_address_fn *each, void *data)
{
	char buffer[MNL_NLMSG_HDRLEN + 64];
	struct nlmsghdr *header = netlink_request(buffer, RTM_GETADDR, NLM_F_DUMP);
	struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));
	struct address_walk walk = {each, data};

	info->ifa_family = AF_UNSPEC;
	return netlink_talk(netlink, header, address_found, &walk);
}

static int route_found(const struct nlmsghdr *header, void *data)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(header);
	struct netlink_route *route = data;
	const struct nlattr *attr, *metric;

	route->local = info->rtm_type == RTN_LOCAL;
	route->unusable = info->rtm_type != RTN_UNICAST && !route->local;
	mnl_attr_for_each(attr, header, sizeof(*info))
	{
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF:
			route->ifindex = mnl_attr_get_u32(attr);
			break;
		case RTA_GATEWAY:
			route->next = attr_address(attr, info->rtm_family);
			break;
		case RTA_VIA: /* IPv4 by an IPv6 gateway: left to the server */
			route->unusable = true;
			break;
		case RTA_METRICS:
			mnl_attr_for_each_nested(metric,
						 attr) if (mnl_attr_get_type(metric) == RTAX_MTU)
				route->mtu = mnl_attr_get_u32(metric);
			break;
		}
	}
	return MNL_CB_STOP;
}

int netlink_route(struct netlink *netlink, const struct address *source,
		  const struct address *destination, struct netlink_route *ret)
{
	char buffer[MNL_NLMSG_HDRLEN + 128];
	struct nlmsghdr *header = netlink_request(buffer, RTM_GETROUTE, 0);
	struct rtmsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));

	memset(ret, 0, sizeof(*ret));
	ret->next = *destination;
	info->rtm_family = destination->family;
	info->rtm_dst_len = 8 * address_length(destination->family);
	info->rtm_src_len = 8 * address_length(source->family);
	put_address(header, RTA_DST, destination);
	put_address(header, RTA_SRC, source);
	return netlink_talk(netlink, header, route_found, ret);
}

static bool neighbour_parse(const struct nlmsghdr *header, struct neighbour *ret)
{
	const struct ndmsg *info = mnl_nlmsg_get_payload(header);
	const struct nlattr *attr;
	bool mac = false;

	memset(ret, 0, sizeof(*ret));
	ret->ifindex = info->ndm_ifindex;
	mnl_attr_for_each(attr, header, sizeof(*info))
	{
		if (mnl_attr_get_type(attr) == NDA_DST)
			ret->address = attr_address(attr, info->ndm_family);
		if (mnl_attr_get_type(attr) == NDA_LLADDR && mnl_attr_get_payload_len(attr) == 6) {
			memcpy(ret->mac, mnl_attr_get_payload(attr), 6);
			mac = true;
		}
	}
	return mac && ret->address.family && header->nlmsg_type == RTM_NEWNEIGH &&
	       info->ndm_state & (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE |
				  NUD_STALE | NUD_DELAY);
}

/* Remembers a neighbour's MAC; true if that is news. */
static bool neighbour_learn(struct netlink *netlink, const struct neighbour *n, bool valid)
{
	struct neighbour none = {.ifindex = n->ifindex, .address = n->address};
	const struct neighbour *now = valid ? n : &none;

	for (unsigned int i = 0; i < netlink->neighbours; i++) {
		struct neighbour *known = &netlink->known[i];

		if (known->ifindex != n->ifindex || !address_equal(&known->address, &n->address))
			continue;
		if (!memcmp(known->mac, now->mac, sizeof(now->mac)))
			return false;
		*known = *now;
		return true;
	}
	if (netlink->neighbours < NEIGHBOURS)
		netlink->known[netlink->neighbours++] = *now;
	return true;
}

struct neighbour_answer {
	struct netlink *netlink;
	struct neighbour neighbour;
	bool valid;
};

static int neighbour_found(const struct nlmsghdr *header, void *data)
{
	struct neighbour_answer *answer = data;

	answer->valid = neighbour_parse(header, &answer->neighbour);
	return MNL_CB_STOP;
}

/* What `ip neigh ... use` does: has the kernel resolve or confirm the neighbour. */
static void neighbour_use(struct netlink *netlink, uint32_t ifindex, const struct address *address)
{
	char buffer[MNL_NLMSG_HDRLEN + 128];
	struct nlmsghdr *header =
		netlink_request(buffer, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK);
	struct ndmsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));

	info->ndm_family = address->family;
	info->ndm_ifindex = ifindex;
	info->ndm_flags = NTF_USE;
	put_address(header, NDA_DST, address);
	netlink_talk(netlink, header, NULL, NULL);
}

int netlink_neighbour(struct netlink *netlink, uint32_t ifindex, const struct address *address,
		      uint8_t *ret_mac)
{
	char buffer[MNL_NLMSG_HDRLEN + 128];
	struct nlmsghdr *header = netlink_request(buffer, RTM_GETNEIGH, 0);
	struct ndmsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));
	struct neighbour_answer answer = {.netlink = netlink};
	int err;

	info->ndm_family = address->family;
	info->ndm_ifindex = ifindex;
	put_address(header, NDA_DST, address);
	err = netlink_talk(netlink, header, neighbour_found, &answer);
	if (!err && answer.valid) {
		neighbour_learn(netlink, &answer.neighbour, true);
		memcpy(ret_mac, answer.neighbour.mac, 6);
		return 0;
	}
	neighbour_use(netlink, ifindex, address);
	return -ENOENT;
}

int netlink_watch_fd(const struct netlink *netlink)
{
	return mnl_socket_get_fd(netlink->watch);
}

static int change_found(const struct nlmsghdr *header, void *data)
{
	struct netlink *netlink = data;
	struct neighbour neighbour;
	bool valid;

	if (header->nlmsg_type == RTM_NEWNEIGH || header->nlmsg_type == RTM_DELNEIGH) {
		valid = neighbour_parse(header, &neighbour);
		/* Multicast needs no resolving; its entries come and go with what is sent. */
		if (!neighbour.address.family || address_is_multicast(&neighbour.address) ||
		    !neighbour_learn(netlink, &neighbour, valid))
			return MNL_CB_OK;
	}
	netlink->changed = true;
	return MNL_CB_OK;
}

bool netlink_watch_changed(struct netlink *netlink)
{
	char buffer[32768];
	ssize_t length;

	netlink->changed = false;
	for (;;) {
		length = mnl_socket_recvfrom(netlink->watch, buffer, sizeof(buffer));
		if (length < 0 && errno == ENOBUFS) /* something was missed: anything may be new */
			netlink->changed = true;
		else if (length < 0)
			return netlink->changed;
		else
			mnl_cb_run(buffer, length, 0, 0, change_found, netlink);
	}
}
