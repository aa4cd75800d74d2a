// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include "src/choice.h"
#include "src/netlink.h"

/* For people. */
static const char *choice_kind(const struct netlink_link *link)
{
	return link->kind[0] ? link->kind : "hardware";
}

enum hook choice_hook(struct netlink *netlink, const struct netlink_link *link, char *why,
		      size_t size)
{
	uint64_t features;

	if (netlink_peer_offloads(netlink, link) == 1) {
		snprintf(why, size,
			 "its veth peer leaves checksums unfinished (tx-checksumming is on), "
			 "which only TC can complete");
		return HOOK_TC;
	}
	/* Its program would run on the devices under it, and be told that packets are theirs. */
	if (!strcmp(link->kind, "bond")) {
		snprintf(why, size, "native XDP meets a bond's packets before they are the bond's");
		return HOOK_TC;
	}
	if (!netlink_xdp_features(netlink, link->ifindex, &features) &&
	    !(features & NETLINK_XDP_BASIC)) {
		snprintf(why, size, "its driver (%s) has no native XDP", choice_kind(link));
		return HOOK_TC;
	}
	snprintf(why, size, "its driver (%s) has native XDP", choice_kind(link));
	return HOOK_XDP;
}

bool choice_transmits(struct netlink *netlink, const struct netlink_link *link)
{
	uint64_t features;

	if (!netlink_xdp_features(netlink, link->ifindex, &features))
		return features & NETLINK_XDP_TRANSMIT;
	return !link->kind[0] || link->veth;
}
