// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include "bpf/hop.h"
#include "src/engine.h"
#include "src/hops.h"
#include "src/interfaces.h"
#include "src/log.h"
#include "src/netlink.h"

static int hop_find(const struct hops *hops, const struct address *source,
		    const struct address *destination, struct tp_hop *hop)
{
	struct interfaces *interfaces = hops->interfaces;
	struct netlink_route route;
	struct netlink_link link;
	struct interface *at;
	char why[256];
	int err;

	if (netlink_rules_by_more(hops->netlink))
		return -ENETUNREACH;
	err = netlink_route(hops->netlink, source, destination, &route);
	if (err)
		return err;
	if (route.local) {
		hop->device = TP_HOP_LOCAL;
		hop->mtu = UINT16_MAX;
		return 0;
	}
	if (route.unusable || netlink_link(hops->netlink, route.ifindex, &link) || link.loopback)
		return -ENETUNREACH;
	err = interfaces->fixed ? 0
				: interfaces_attach(interfaces, route.ifindex, why, sizeof(why));
	if (err < 0)
		return err;
	err = netlink_neighbour(hops->netlink, route.ifindex, &route.next, hop->destination);
	if (err)
		return err;
	at = interfaces_find(interfaces, route.ifindex);
	if (!at)
		return -ENETUNREACH;
	hop->device = at->device;
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
			__u32 why, __u32 generation)
{
	__sync_fetch_and_add(&route->sequence, 1);
	route->key = *key;
	route->hop = hop;
	route->why = why;
	route->generation = generation;
	__sync_fetch_and_add(&route->sequence, 1);
}

/* Which of the fast path's counters has packets that pass for want of a hop; 0: they don't. */
static __u32 hop_why(int err)
{
	if (!err)
		return 0;
	return err == -ENOENT ? TP_PASSED_NO_NEIGHBOUR : TP_PASSED_NO_ROUTE;
}

static void hops_say_rules(struct hops *hops)
{
	bool by_more = netlink_rules_by_more(hops->netlink);

	if (by_more && !hops->rules_said)
		log_warning("a routing rule asks for ports or TOS, so addresses don't say the "
			    "route: everything is left to the server until `ip rule` has none");
	if (!by_more && hops->rules_said)
		log_info("no routing rule asks for ports or TOS any more: relaying again");
	hops->rules_said = by_more;
}

int hops_resolve(struct hops *hops, tp_handle handle, __u32 direction)
{
	struct engine *engine = hops->engine;
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
	if (!memcmp(&known->key, &key, sizeof(key)) && known->generation == hop.generation &&
	    !known->why)
		return 0;
	hops_say_rules(hops);
	source = address_of(key.family, key.source);
	destination = address_of(key.family, key.destination);
	err = hop_find(hops, &source, &destination, &hop);
	index = err ? 0 : hop_add(engine, &hop);
	if (index == HOP_NONE)
		err = -ENOSPC;
	route_write(known, &key, err ? 0 : index, hop_why(err), hop.generation);
	return err;
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

void hops_invalidate(struct hops *hops)
{
	struct tp_config *config = hops->engine->config;
	__u32 next = (READ_ONCE(config->hop_generation) + 1) << TP_HOP_BITS >> TP_HOP_BITS;

	if (!next)
		hops_forget(hops->engine);
	WRITE_ONCE(config->hop_generation, next ? next : 1);
}

bool hops_watch(struct hops *hops)
{
	if (!netlink_watch_changed(hops->netlink))
		return false;
	hops_invalidate(hops);
	hops_say_rules(hops);
	interfaces_refresh(hops->interfaces);
	log_debug("routes, links or neighbours have changed: next hops are looked up again");
	return true;
}
