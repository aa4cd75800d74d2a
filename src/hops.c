// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include "bpf/hop.h"
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

/* Index of the hop among all, in its generation; HOP_NONE: there is no room. */
static __u32 hop_add(struct engine *engine, const struct tp_hop *hop)
{
	for (int i = 0; i < HOP_PROBES; i++) {
		__u32 index = hop_place(hop, i);

		if (index != HOP_NONE && hop_put(&engine->hops[index], hop) == HOP_HERE)
			return index;
	}
	return HOP_NONE;
}

/* Only this thread writes routes. */
static void route_write(struct tp_route *route, const struct tp_route_key *key, __u32 hop,
			__u32 generation)
{
	__sync_fetch_and_add(&route->sequence, 1);
	route->key = *key;
	route->hop = hop;
	route->generation = generation;
	__sync_fetch_and_add(&route->sequence, 1);
}

int hops_resolve(struct engine *engine, struct netlink *netlink, struct interfaces *interfaces,
		 tp_handle handle, __u32 direction)
{
	struct tp_hop hop = {.generation = READ_ONCE(engine->config->hop_generation)};
	struct address source, destination;
	struct tp_route_key key;
	struct tp_route *known;
	struct tp_binding b;
	__u32 index;
	int err;

	if (!engine_binding(engine, handle_slot(handle), &b) ||
	    b.generation != handle_generation(handle))
		return -ESTALE;
	key = binding_route_key(&b, direction);
	known = &engine->routes[hop_route(&key)];
	if (!memcmp(&known->key, &key, sizeof(key)) && known->generation == hop.generation)
		return 0;
	source = address_of(key.family, key.source);
	destination = address_of(key.family, key.destination);
	err = hop_find(netlink, interfaces, &source, &destination, &hop);
	if (err)
		return err;
	index = hop_add(engine, &hop);
	if (index == HOP_NONE)
		return -ENOSPC;
	route_write(known, &key, index, hop.generation);
	return 0;
}

/* The generation begins again: whatever still has an old one must not be taken for new. */
static void hops_forget(struct engine *engine)
{
	for (__u32 i = 0; i < TP_HOPS; i++)
		WRITE_ONCE(engine->hops[i].generation, 0);
	for (__u32 i = 0; i < TP_ROUTES; i++)
		WRITE_ONCE(engine->routes[i].generation, 0);
	for (__u32 i = 0; i < 2 * engine->max_bindings; i++)
		WRITE_ONCE(engine->legs[i].hop, hop_none(0));
}

void hops_invalidate(struct engine *engine)
{
	__u32 next = (READ_ONCE(engine->config->hop_generation) + 1) << TP_HOP_BITS >> TP_HOP_BITS;

	if (!next)
		hops_forget(engine);
	WRITE_ONCE(engine->config->hop_generation, next ? next : 1);
	log_debug("routes, links or neighbours have changed: next hops are looked up again");
}
