// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's neighbour table. An entry that only XDP's packets go by looks
 * unused to the kernel: it goes stale and stays so, and a MAC that is dead is
 * never found out. So whenever one that hops go by turns stale, the kernel is
 * told that it is in use; it then probes it, and says when there is no answer.
 */
#include <errno.h>
#include <string.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include "src/rtnetlink.h"

#define NUD_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

/* What a message says of a neighbour. */
struct news {
	struct neighbour neighbour;
	uint16_t state;
	bool usable; /* it has a MAC that packets may be sent to */
};

static void news_parse(const struct nlmsghdr *header, struct news *ret)
{
	const struct ndmsg *info = mnl_nlmsg_get_payload(header);
	const struct nlattr *attr;
	bool mac = false;

	memset(ret, 0, sizeof(*ret));
	ret->neighbour.ifindex = info->ndm_ifindex;
	ret->state = info->ndm_state;
	mnl_attr_for_each(attr, header, sizeof(*info))
	{
		if (mnl_attr_get_type(attr) == NDA_DST)
			ret->neighbour.address = netlink_attr_address(attr, info->ndm_family);
		if (mnl_attr_get_type(attr) == NDA_LLADDR && mnl_attr_get_payload_len(attr) == 6) {
			memcpy(ret->neighbour.mac, mnl_attr_get_payload(attr), 6);
			mac = true;
		}
	}
	ret->usable = mac && ret->neighbour.address.family && header->nlmsg_type == RTM_NEWNEIGH &&
		      ret->state & NUD_USABLE;
}

static struct neighbour *neighbour_known(struct netlink *netlink, uint32_t ifindex,
					 const struct address *address)
{
	for (unsigned int i = 0; i < netlink->neighbours; i++) {
		struct neighbour *known = &netlink->known[i];

		if (known->ifindex == ifindex && address_equal(&known->address, address))
			return known;
	}
	return NULL;
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
	netlink_put_address(header, NDA_DST, address);
	netlink_talk(netlink, netlink->ask, header, NULL, NULL);
}

static int news_found(const struct nlmsghdr *header, void *data)
{
	news_parse(header, data);
	return MNL_CB_STOP;
}

/* From now on its news counts. */
static int neighbour_follow(struct netlink *netlink, const struct news *news)
{
	const struct neighbour *n = &news->neighbour;
	struct neighbour *known = neighbour_known(netlink, n->ifindex, &n->address);

	if (!known && netlink->neighbours == NETLINK_NEIGHBOURS)
		return -ENOSPC;
	if (!known)
		known = &netlink->known[netlink->neighbours++];
	*known = *n;
	if (news->state & NUD_STALE)
		neighbour_use(netlink, n->ifindex, &n->address);
	return 0;
}

int netlink_neighbour(struct netlink *netlink, uint32_t ifindex, const struct address *address,
		      uint8_t *ret_mac)
{
	char buffer[MNL_NLMSG_HDRLEN + 128];
	struct nlmsghdr *header = netlink_request(buffer, RTM_GETNEIGH, 0);
	struct ndmsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));
	struct news news = {};
	int err;

	info->ndm_family = address->family;
	info->ndm_ifindex = ifindex;
	netlink_put_address(header, NDA_DST, address);
	err = netlink_talk(netlink, netlink->ask, header, news_found, &news);
	if (err || !news.usable) {
		neighbour_use(netlink, ifindex, address);
		return -ENOENT;
	}
	memcpy(ret_mac, news.neighbour.mac, 6);
	return neighbour_follow(netlink, &news);
}

bool neighbours_news(struct netlink *netlink, const struct nlmsghdr *header)
{
	struct neighbour *known;
	struct news news;

	news_parse(header, &news);
	known = neighbour_known(netlink, news.neighbour.ifindex, &news.neighbour.address);
	if (!known)
		return false;
	if (news.usable && !memcmp(known->mac, news.neighbour.mac, sizeof(known->mac))) {
		if (news.state & NUD_STALE)
			neighbour_use(netlink, known->ifindex, &known->address);
		return false;
	}
	/* Who needs it again asks for it, and so it is followed again. */
	*known = netlink->known[--netlink->neighbours];
	return true;
}
