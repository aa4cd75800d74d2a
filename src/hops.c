// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include "bpf/rewrite.h"
#include "src/engine.h"
#include "src/hops.h"
#include "src/interfaces.h"
#include "src/log.h"
#include "src/netlink.h"

static int hop_find(struct netlink *netlink, struct interfaces *interfaces,
		    const struct address *source, const struct address *destination,
		    struct tp_hop *hop)
{
	struct netlink_route route;
	struct netlink_link link;
	char why[256];
	int err;

	err = netlink_route(netlink, source, destination, &route);
	if (err)
		return err;
	if (route.local) {
		hop->device = TP_HOP_LOCAL;
		hop->mtu = UINT16_MAX;
		return 0;
	}
	if (route.unusable || netlink_link(netlink, route.ifindex, &link) || link.loopback)
		return -ENETUNREACH;
	err = interfaces->fixed ? 0
				: interfaces_attach(interfaces, route.ifindex, why, sizeof(why));
	if (err < 0)
		return err;
	err = netlink_neighbour(netlink, route.ifindex, &route.next, hop->destination);
	if (err)
		return err;
	if (!interfaces_is_attached(interfaces, route.ifindex))
		return -ENETUNREACH;
	hop->device = interfaces_device(interfaces, route.ifindex);
	hop->ifindex = route.ifindex;
	hop->mtu = route.mtu && route.mtu < link.mtu ? route.mtu : link.mtu;
	memcpy(hop->source, link.mac, sizeof(hop->source));
	return 0;
}

int hops_resolve(struct engine *engine, struct netlink *netlink, struct interfaces *interfaces,
		 tp_handle handle, __u32 direction)
{
	struct tp_hop hop = {.generation = READ_ONCE(engine->config->hop_generation)};
	struct address source, destination;
	struct tp_hop_key key;
	struct tp_next_hop *known;
	struct tp_binding b;
	int err;

	if (!engine_binding(engine, handle_slot(handle), &b) ||
	    b.generation != handle_generation(handle))
		return -ESTALE;
	key = binding_hop_key(&b, direction);
	known = &engine->next_hops[binding_next_hop(&key)];
	if (!memcmp(&known->key, &key, sizeof(key)) && known->hop.generation == hop.generation)
		return 0;
	source = address_of(key.family, key.source);
	destination = address_of(key.family, key.destination);
	err = hop_find(netlink, interfaces, &source, &destination, &hop);
	if (err)
		return err;
	/* It is no pair's while it is changed; only this thread writes. */
	WRITE_ONCE(known->hop.generation, 0);
	known->key = key;
	hop_write(&known->hop, &hop);
	return 0;
}

void hops_invalidate(struct engine *engine)
{
	__u32 next = READ_ONCE(engine->config->hop_generation) + 1;

	WRITE_ONCE(engine->config->hop_generation, next ? next : 1);
	log_debug("routes, links or neighbours have changed: next hops are looked up again");
}
