// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device can do with XDP frames, from the kernel's generic netlink family
 * "netdev" (Linux 6.3; Documentation/netlink/specs/netdev.yaml), whose numbers
 * Debian 12's headers don't have yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include "src/rtnetlink.h"

enum { NETDEV_CMD_DEV_GET = 1 };
enum { NETDEV_A_DEV_IFINDEX = 1, NETDEV_A_DEV_XDP_FEATURES = 3 };

struct family {
	uint16_t id;
	uint32_t group; /* of news about devices */
};

static void groups_found(const struct nlattr *nest, struct family *family)
{
	const struct nlattr *group, *attr;

	mnl_attr_for_each_nested(group, nest)
	{
		uint32_t id = 0;
		bool news = false;

		mnl_attr_for_each_nested(attr, group)
		{
			if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_ID)
				id = mnl_attr_get_u32(attr);
			if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_NAME)
				news = !strcmp(mnl_attr_get_str(attr), "mgmt");
		}
		if (news)
			family->group = id;
	}
}

static int family_found(const struct nlmsghdr *header, void *data)
{
	struct family *family = data;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header, GENL_HDRLEN)
	{
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
			family->id = mnl_attr_get_u16(attr);
		if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GROUPS)
			groups_found(attr, family);
	}
	return MNL_CB_STOP;
}

static struct nlmsghdr *generic_request(void *buffer, uint16_t family, uint8_t command)
{
	struct nlmsghdr *header = netlink_request(buffer, family, 0);
	struct genlmsghdr *generic = mnl_nlmsg_put_extra_header(header, sizeof(*generic));

	generic->cmd = command;
	generic->version = 1;
	return header;
}

/* -ENOENT: the kernel has no such family. */
static int netdev_family(struct netlink *netlink, struct family *ret)
{
	char buffer[MNL_NLMSG_HDRLEN + 64];
	struct nlmsghdr *header = generic_request(buffer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);

	mnl_attr_put_strz(header, CTRL_ATTR_FAMILY_NAME, "netdev");
	return netlink_talk(netlink, netlink->generic, header, family_found, ret);
}

static struct mnl_socket *generic_socket(void)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);

	if (socket && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID)) {
		mnl_socket_close(socket);
		return NULL;
	}
	return socket;
}

int netdev_open(struct netlink *netlink)
{
	struct family family = {};
	int err;

	netlink->generic = generic_socket();
	if (!netlink->generic)
		return -errno;
	err = netdev_family(netlink, &family);
	if (err == -ENOENT)
		return 0;
	if (err)
		return err;
	netlink->netdev = family.id;
	netlink->netdev_watch = generic_socket();
	if (!netlink->netdev_watch ||
	    fcntl(mnl_socket_get_fd(netlink->netdev_watch), F_SETFL, O_NONBLOCK) ||
	    (family.group && mnl_socket_setsockopt(netlink->netdev_watch, NETLINK_ADD_MEMBERSHIP,
						   &family.group, sizeof(family.group))))
		return -errno;
	return 0;
}

static int features_found(const struct nlmsghdr *header, void *data)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header, GENL_HDRLEN)
	{
		if (mnl_attr_get_type(attr) == NETDEV_A_DEV_XDP_FEATURES)
			*(uint64_t *)data = mnl_attr_get_u64(attr);
	}
	return MNL_CB_STOP;
}

bool netlink_says_features(const struct netlink *netlink)
{
	return netlink->netdev;
}

int netlink_xdp_features(struct netlink *netlink, uint32_t ifindex, uint64_t *ret)
{
	char buffer[MNL_NLMSG_HDRLEN + 64];
	struct nlmsghdr *header;

	if (!netlink->netdev)
		return -EOPNOTSUPP;
	header = generic_request(buffer, netlink->netdev, NETDEV_CMD_DEV_GET);
	mnl_attr_put_u32(header, NETDEV_A_DEV_IFINDEX, ifindex);
	*ret = 0;
	return netlink_talk(netlink, netlink->generic, header, features_found, ret);
}
