// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include "bpf/rewrite.h"
#include "src/engine.h"
#include "src/hops.h"
#include "src/interfaces.h"
#include "src/netlink.h"

static uint32_t hop_address(const struct tp_binding *b, int end)
{
	uint32_t address;

	memcpy(&address, b->address[end], sizeof(address));
	return address;
}

int hops_resolve(struct engine *engine, struct netlink *netlink,
		 struct interfaces *interfaces, tp_handle handle, __u32 direction)
{
	__u32 slot = handle_slot(handle), generation = READ_ONCE(engine->config->hop_generation);
	struct tp_hop hop = {.generation = generation, .binding = handle_generation(handle)};
	int source = direction == TP_UP ? TP_RELAY : TP_SERVER;
	int destination = direction == TP_UP ? TP_PEER : TP_CLIENT;
	struct netlink_route route;
	struct netlink_link link;
	struct tp_binding b;
	char why[256];
	int err;

	if (!engine_binding(engine, slot, &b) || b.generation != hop.binding)
		return -ESTALE;
	err = netlink_route(netlink, hop_address(&b, source), hop_address(&b, destination), 0,
			    &route);
	if (err)
		return err;
	if (route.local || netlink_link(netlink, route.ifindex, &link) || link.loopback)
		return -ENETUNREACH;
	err = interfaces->fixed ? 1 : interfaces_attach(interfaces, route.ifindex, why, sizeof(why));
	if (err < 0)
		return err;
	err = netlink_neighbour(netlink, route.ifindex, route.next, hop.destination);
	if (err)
		return err;
	if (!interfaces_is_attached(interfaces, route.ifindex))
		return -ENETUNREACH;
	hop.ifindex = route.ifindex;
	hop.redirect = link.veth;
	hop.mtu = route.mtu && route.mtu < link.mtu ? route.mtu : link.mtu;
	memcpy(hop.source, link.mac, sizeof(hop.source));
	hop_write(&engine->bindings[slot].leg[direction & 1].hop, &hop);
	return 0;
}

void hops_invalidate(struct engine *engine)
{
	__u32 next = READ_ONCE(engine->config->hop_generation) + 1;

	WRITE_ONCE(engine->config->hop_generation, next ? next : 1);
}
