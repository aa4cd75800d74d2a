// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <net/if_arp.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include "src/rtnetlink.h"

static const int netlink_groups[] = {
	RTNLGRP_LINK,	    RTNLGRP_NEIGH,     RTNLGRP_IPV4_IFADDR,
	RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_IFADDR,
	RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE, RTNLGRP_NEXTHOP,
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

static int watch_open(struct netlink *netlink)
{
	int fd, size = 1 << 20;

	netlink->watch = netlink_socket();
	if (!netlink->watch)
		return -errno;
	fd = mnl_socket_get_fd(netlink->watch);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		return -errno;
	for (size_t i = 0; i < sizeof(netlink_groups) / sizeof(netlink_groups[0]); i++)
		if (mnl_socket_setsockopt(netlink->watch, NETLINK_ADD_MEMBERSHIP,
					  (void *)&netlink_groups[i], sizeof(int)))
			return -errno;
	return 0;
}

/* Watched together, for who waits. */
static int poll_open(struct netlink *netlink)
{
	struct mnl_socket *const watched[] = {netlink->watch, netlink->netdev_watch};
	struct epoll_event event = {.events = EPOLLIN};

	netlink->poll = epoll_create1(EPOLL_CLOEXEC);
	if (netlink->poll < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		if (watched[i] &&
		    epoll_ctl(netlink->poll, EPOLL_CTL_ADD, mnl_socket_get_fd(watched[i]), &event))
			return -errno;
	return 0;
}

struct netlink *netlink_open(uid_t uid)
{
	struct netlink *netlink = calloc(1, sizeof(*netlink));
	int err;

	if (!netlink)
		return NULL;
	netlink->uid = uid;
	netlink->poll = -1;
	netlink->ask = netlink_socket();
	err = netlink->ask ? watch_open(netlink) : -errno;
	if (!err)
		err = netdev_open(netlink);
	if (!err)
		err = poll_open(netlink);
	if (!err)
		return netlink;
	netlink_close(netlink);
	errno = -err;
	return NULL;
}

void netlink_close(struct netlink *netlink)
{
	struct mnl_socket *sockets[4] = {};

	if (!netlink)
		return;
	sockets[0] = netlink->ask;
	sockets[1] = netlink->watch;
	sockets[2] = netlink->generic;
	sockets[3] = netlink->netdev_watch;
	for (size_t i = 0; i < 4; i++)
		if (sockets[i])
			mnl_socket_close(sockets[i]);
	if (netlink->poll >= 0)
		close(netlink->poll);
	free(netlink);
}

int netlink_talk(struct netlink *netlink, struct mnl_socket *socket, struct nlmsghdr *header,
		 mnl_cb_t callback, void *data)
{
	char buffer[32768];
	unsigned int port = mnl_socket_get_portid(socket);
	ssize_t length;
	int ret = MNL_CB_OK;

	header->nlmsg_seq = ++netlink->sequence;
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		return -errno;
	while (ret > MNL_CB_STOP) {
		length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		if (length < 0)
			return -errno;
		ret = mnl_cb_run(buffer, length, header->nlmsg_seq, port, callback, data);
		if (ret < 0)
			return -errno;
	}
	return 0;
}

struct nlmsghdr *netlink_request(void *buffer, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	return header;
}

static void vlan_found(const struct nlattr *nest, struct netlink_link *link)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == IFLA_VLAN_ID)
			link->vlan_id = mnl_attr_get_u16(attr);
		if (mnl_attr_get_type(attr) == IFLA_VLAN_PROTOCOL)
			link->vlan_proto = mnl_attr_get_u16(attr);
	}
}

static void kind_found(const struct nlattr *nest, struct netlink_link *link)
{
	const struct nlattr *attr, *data = NULL;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			strncpy(link->kind, mnl_attr_get_str(attr), sizeof(link->kind) - 1);
		if (mnl_attr_get_type(attr) == IFLA_INFO_DATA)
			data = attr;
	}
	link->veth = !strcmp(link->kind, "veth");
	if (data && !strcmp(link->kind, "vlan"))
		vlan_found(data, link);
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
			kind_found(attr, link);
			break;
		case IFLA_LINK:
			link->other = mnl_attr_get_u32(attr);
			break;
		case IFLA_LINK_NETNSID:
			link->other_netns = mnl_attr_get_u32(attr);
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
	ret->other_netns = -1;
	info->ifi_index = ifindex;
	return netlink_talk(netlink, netlink->ask, header, link_found, ret);
}

struct address_walk {
	netlink_address_fn *each;
	void *data;
};

struct address netlink_attr_address(const struct nlattr *attr, uint8_t family)
{
	struct address none = {};

	if ((family != AF_INET && family != AF_INET6) ||
	    mnl_attr_get_payload_len(attr) != address_length(family))
		return none;
	return address_of(family, mnl_attr_get_payload(attr));
}

void netlink_put_address(struct nlmsghdr *header, uint16_t type, const struct address *address)
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
			address = netlink_attr_address(attr, info->ifa_family);
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
	return netlink_talk(netlink, netlink->ask, header, address_found, &walk);
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
			route->next = netlink_attr_address(attr, info->rtm_family);
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
	char buffer[MNL_NLMSG_HDRLEN + 256];
	struct nlmsghdr *header = netlink_request(buffer, RTM_GETROUTE, 0);
	struct rtmsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));

	memset(ret, 0, sizeof(*ret));
	ret->next = *destination;
	info->rtm_family = destination->family;
	info->rtm_dst_len = 8 * address_length(destination->family);
	info->rtm_src_len = 8 * address_length(source->family);
	netlink_put_address(header, RTA_DST, destination);
	netlink_put_address(header, RTA_SRC, source);
	mnl_attr_put_u8(header, RTA_IP_PROTO, IPPROTO_UDP);
	mnl_attr_put_u32(header, RTA_UID, netlink->uid);
	return netlink_talk(netlink, netlink->ask, header, route_found, ret);
}

/* What a rule may ask for that a question by addresses alone doesn't have. */
enum { RULE_DSCP = 25, RULE_FLOW_LABEL = 26 }; /* FRA_DSCP, FRA_FLOWLABEL of newer headers */

static int rule_found(const struct nlmsghdr *header, void *data)
{
	const struct fib_rule_hdr *rule = mnl_nlmsg_get_payload(header);
	bool *by_more = data;
	const struct nlattr *attr;

	*by_more = *by_more || rule->tos;
	mnl_attr_for_each(attr, header, sizeof(*rule))
	{
		switch (mnl_attr_get_type(attr)) {
		case FRA_SPORT_RANGE:
		case FRA_DPORT_RANGE:
		case RULE_DSCP:
		case RULE_FLOW_LABEL:
			*by_more = true;
		}
	}
	return MNL_CB_OK;
}

bool netlink_rules_by_more(struct netlink *netlink)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	char buffer[MNL_NLMSG_HDRLEN + 64];
	struct fib_rule_hdr *rule;
	struct nlmsghdr *header;

	if (netlink->rules_known)
		return netlink->rules_by_more;
	netlink->rules_by_more = false;
	for (size_t i = 0; i < sizeof(families); i++) {
		header = netlink_request(buffer, RTM_GETRULE, NLM_F_DUMP);
		rule = mnl_nlmsg_put_extra_header(header, sizeof(*rule));
		rule->family = families[i];
		netlink_talk(netlink, netlink->ask, header, rule_found, &netlink->rules_by_more);
	}
	netlink->rules_known = true;
	return netlink->rules_by_more;
}

int netlink_watch_fd(const struct netlink *netlink)
{
	return netlink->poll;
}

static int change_found(const struct nlmsghdr *header, void *data)
{
	struct netlink *netlink = data;

	switch (header->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		if (neighbours_news(netlink, header))
			netlink->changed = true;
		return MNL_CB_OK;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		netlink->rules_known = false;
		break;
	}
	netlink->changed = true;
	return MNL_CB_OK;
}

/* Reads all that waits at SOCKET; the kernel may have dropped some. */
static void watch_read(struct netlink *netlink, struct mnl_socket *socket, mnl_cb_t found)
{
	char buffer[32768];
	ssize_t length;

	for (;;) {
		length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		if (length < 0 && errno == ENOBUFS) { /* anything may be new */
			netlink->neighbours = 0;
			netlink->rules_known = false;
			netlink->changed = true;
		} else if (length < 0) {
			return;
		} else {
			mnl_cb_run(buffer, length, 0, 0, found, netlink);
		}
	}
}

static int features_changed(const struct nlmsghdr *header, void *data)
{
	(void)header;
	((struct netlink *)data)->changed = true;
	return MNL_CB_OK;
}

bool netlink_watch_changed(struct netlink *netlink)
{
	netlink->changed = false;
	watch_read(netlink, netlink->watch, change_found);
	if (netlink->netdev_watch)
		watch_read(netlink, netlink->netdev_watch, features_changed);
	return netlink->changed;
}
