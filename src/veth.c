// SPDX-License-Identifier: GPL-2.0-only
/*
 * A veth's peer that has checksum offload on, which is the default, hands its
 * datagrams over without: a checksum that was only begun is no one's fault on a
 * wire that isn't there. The peer may be in any network namespace, so that one
 * is looked for among those of processes and those that have a name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <net/if.h>
#include <linux/ethtool.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include "src/rtnetlink.h"

static int id_found(const struct nlmsghdr *header, void *data)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header, sizeof(struct rtgenmsg))
	{
		if (mnl_attr_get_type(attr) == NETNSA_NSID)
			*(int32_t *)data = mnl_attr_get_u32(attr);
	}
	return MNL_CB_STOP;
}

/* The id that the network namespace FD has here; -1: none. */
static int32_t netns_id(struct netlink *netlink, int fd)
{
	char buffer[MNL_NLMSG_HDRLEN + 64];
	struct nlmsghdr *header = netlink_request(buffer, RTM_GETNSID, 0);
	struct rtgenmsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	int32_t id = -1;

	message->rtgen_family = AF_UNSPEC;
	mnl_attr_put_u32(header, NETNSA_FD, fd);
	return netlink_talk(netlink, netlink->ask, header, id_found, &id) ? -1 : id;
}

/* A namespace with that id among FORMAT's paths, for every entry of DIRECTORY; -1: none. */
static int netns_search(struct netlink *netlink, int32_t id, const char *directory,
			const char *format)
{
	DIR *entries = opendir(directory);
	struct dirent *entry;
	char path[512];
	int fd = -1;

	while (entries && fd < 0 && (entry = readdir(entries))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), format, entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && netns_id(netlink, fd) != id) {
			close(fd);
			fd = -1;
		}
	}
	if (entries)
		closedir(entries);
	return fd;
}

static int netns_open(struct netlink *netlink, int32_t id)
{
	int fd = netns_search(netlink, id, "/run/netns", "/run/netns/%s");

	return fd >= 0 ? fd : netns_search(netlink, id, "/proc", "/proc/%s/ns/net");
}

/* 1: tx-checksumming is on; 0: off. In the calling thread's network namespace. */
static int device_offloads(uint32_t ifindex)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GTXCSUM};
	struct ifreq request = {};
	int fd, err = 0;

	request.ifr_data = (void *)&value;
	if (!if_indextoname(ifindex, request.ifr_name))
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCETHTOOL, &request))
		err = -errno;
	close(fd);
	return err ? err : !!value.data;
}

int netlink_peer_offloads(struct netlink *netlink, const struct netlink_link *link)
{
	int home, there, ret;

	if (!link->veth || !link->other)
		return -ENODEV;
	if (link->other_netns < 0)
		return device_offloads(link->other);
	there = netns_open(netlink, link->other_netns);
	if (there < 0)
		return -ENOENT;
	home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	ret = home < 0 || setns(there, CLONE_NEWNET) ? -errno : device_offloads(link->other);
	/* What can't go home would look for everything in the wrong place. */
	if (home >= 0 && setns(home, CLONE_NEWNET))
		ret = -ENOTRECOVERABLE;
	if (home >= 0)
		close(home);
	close(there);
	return ret;
}
