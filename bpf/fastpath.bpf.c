// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fast path: relays channel data of committed bindings at XDP.
 *
 * What is not surely ours passes to the server, untouched: everything is
 * decided before the first byte is written, and adjusting the frame, the one
 * step that can fail later, is undone or comes first. Every reason is counted.
 */
#include "bpf/compiler.h"
#include "bpf/maps.bpf.h"
#include "bpf/rewrite.h"

char LICENSE[] SEC("license") = "GPL";

#define HOP_ASK_NS 10000000ULL /* ask user space for a next hop once in 10 ms */

/* What is known of one packet on its way through this file. */
struct relay {
	struct packet packet;
	struct binding_view view;
	struct rewrite rewrite;
	struct tp_hop hop;
	struct tp_binding *binding;
	tp_handle handle;
	int direction;
};

static __always_inline int pass(int reason)
{
	count(reason);
	return XDP_PASS;
}

/* The flow that the packet would be of: by channel on a listener, else as a peer's. */
static __always_inline void flow_of(const struct packet *p, __be16 channel, struct tp_flow4 *flow)
{
	flow->source = p->ip->saddr;
	flow->destination = p->ip->daddr;
	flow->source_port = p->udp->source;
	flow->destination_port = p->udp->dest;
	flow->channel = channel;
	flow->zero = 0;
}

static __always_inline int find_binding(struct relay *r, __be16 channel)
{
	struct tp_flow4 flow;
	tp_handle *element;
	__u32 slot;

	flow_of(&r->packet, channel, &flow);
	element = bpf_map_lookup_elem(&flows4, &flow);
	if (!element)
		return 0;
	r->handle = READ_ONCE(*element);
	slot = handle_slot(r->handle);
	r->binding = bpf_map_lookup_elem(&bindings, &slot);
	r->direction = channel ? TP_UP : TP_DOWN;
	return r->binding && binding_read(r->binding, r->handle, r->direction, &flow, &r->view);
}

/* Has the server, as far as is known, let go of the binding? */
static __always_inline int is_live(const struct binding_view *view, const struct tp_config *config)
{
	struct tp_epochs *epochs_of = bpf_map_lookup_elem(&epochs, &view->allocation);

	return epochs_of && READ_ONCE(epochs_of->epoch[TP_V4]) == view->epoch &&
	       READ_ONCE(config->live[view->server & (TP_SERVERS - 1)]);
}

static __always_inline void ask_for_hop(struct relay *r)
{
	struct tp_leg *leg = &r->binding->leg[r->direction & 1];
	__u64 now = bpf_ktime_get_coarse_ns();
	struct tp_notice n = {
		.kind = TP_NOTICE_HOP,
		.handle = r->handle,
		.direction = r->direction,
	};

	if (now - leg->hop_asked_ns < HOP_ASK_NS)
		return;
	leg->hop_asked_ns = now;
	notice(&n);
}

/*
 * Looks the next hop up in the kernel's FIB and caches it. That answers only
 * where the ingress device forwards and the neighbour is known; else user
 * space is asked, which looks it up as the server's own socket would.
 */
static __noinline int find_hop(struct xdp_md *ctx, struct relay *r, __u32 generation)
{
	struct bpf_fib_lookup fib = {
		.family = AF_INET,
		.l4_protocol = PACKET_UDP,
		.sport = r->view.source_port,
		.dport = r->view.destination_port,
		.tos = r->rewrite.tos & 0x1c,
		.ipv4_src = r->view.source,
		.ipv4_dst = r->view.destination,
		.ifindex = ctx->ingress_ifindex,
	};
	struct tp_device *device;
	int err;

	err = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (err == BPF_FIB_LKUP_RET_SUCCESS) {
		device = bpf_map_lookup_elem(&devices, &fib.ifindex);
		if (device && device->usable) {
			__builtin_memset(&r->hop, 0, sizeof(r->hop));
			r->hop.generation = generation;
			r->hop.binding = r->view.generation;
			r->hop.ifindex = fib.ifindex;
			r->hop.mtu = device->mtu;
			r->hop.redirect = device->redirect;
			__builtin_memcpy(r->hop.destination, fib.dmac, ETH_ALEN);
			__builtin_memcpy(r->hop.source, fib.smac, ETH_ALEN);
			hop_write(&r->binding->leg[r->direction & 1].hop, &r->hop);
			return 0;
		}
	}
	ask_for_hop(r);
	return err == BPF_FIB_LKUP_RET_NO_NEIGH ? TP_PASSED_NO_NEIGHBOUR : TP_PASSED_NO_ROUTE;
}

/* 0: everything is known and nothing stands against relaying; else the reason. */
static __always_inline int decide(struct xdp_md *ctx, struct relay *r, void *end)
{
	struct tp_config *config = table_config();
	__u32 generation;
	int reason;

	if (!config || config->magic != TP_MAGIC || !is_live(&r->view, config))
		return TP_PASSED_NO_BINDING;
	if (bpf_ktime_get_coarse_ns() >= r->view.expires_ns)
		return TP_PASSED_EXPIRED;
	reason = rewrite_prepare(&r->packet, end, r->direction, &r->view, &r->rewrite);
	if (reason)
		return reason;
	generation = READ_ONCE(config->hop_generation);
	if (!hop_read(&r->binding->leg[r->direction & 1].hop, r->view.generation, generation,
		      &r->hop)) {
		reason = find_hop(ctx, r, generation);
		if (reason)
			return reason;
	}
	return r->rewrite.total > r->hop.mtu ? TP_PASSED_MTU : 0;
}

/* Moves the frame's ends; on failure the frame is as it was. */
static __always_inline int resize(struct xdp_md *ctx, int direction, int trim)
{
	int head = direction == TP_UP ? PACKET_CHANNEL : -PACKET_CHANNEL;

	if (bpf_xdp_adjust_head(ctx, head))
		return -1;
	if (trim && bpf_xdp_adjust_tail(ctx, -trim)) {
		bpf_xdp_adjust_head(ctx, -head);
		return -1;
	}
	return 0;
}

static __always_inline int transmit(struct xdp_md *ctx, struct relay *r)
{
	struct tp_leg *leg = &r->binding->leg[r->direction & 1];
	struct ethhdr *eth;
	__be16 *header;
	void *end;

	if (resize(ctx, r->direction, r->rewrite.trim))
		return pass(TP_PASSED_HEADROOM);
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	header = (void *)eth + PACKET_HEADERS;
	/* Both hold, for the frame's length is known; the verifier wants to see it. */
	if ((void *)header > end ||
	    (r->direction == TP_DOWN && (void *)(header + 2) > end))
		return XDP_DROP;
	rewrite_write(eth, &r->view, &r->rewrite, &r->hop);
	if (r->direction == TP_DOWN) {
		header[0] = r->view.channel;
		header[1] = bpf_htons(r->rewrite.payload);
	}
	__sync_fetch_and_add(&leg->packets, 1);
	__sync_fetch_and_add(&leg->bytes, r->rewrite.payload);
	count(r->direction == TP_UP ? TP_FORWARDED_UP : TP_FORWARDED_DOWN);
	if (r->hop.ifindex == ctx->ingress_ifindex && !r->hop.redirect)
		return XDP_TX;
	return bpf_redirect(r->hop.ifindex, 0);
}

/* A datagram to a port that has bindings. */
static __always_inline int relay_datagram(struct xdp_md *ctx, struct relay *r,
					  const struct tp_port *port)
{
	void *end = (void *)(long)ctx->data_end;
	__be16 *header = (void *)(r->packet.udp + 1);
	int found = 0, reason;

	if (!packet_lengths(&r->packet, end))
		return pass(TP_PASSED_LENGTH);
	if (port->listener) {
		if ((void *)(header + 2) <= end && packet_is_channel(header[0]))
			found = find_binding(r, header[0]);
		else if (!port->relay)
			return pass(TP_PASSED_CONTROL);
	}
	if (!found && port->relay)
		found = find_binding(r, 0);
	if (!found)
		return pass(TP_PASSED_NO_BINDING);
	reason = decide(ctx, r, end);
	return reason ? pass(reason) : transmit(ctx, r);
}

SEC("xdp")
int turnpike_xdp(struct xdp_md *ctx)
{
	struct relay r = {};
	struct tp_port *port;
	__u32 number;

	switch (packet_parse((void *)(long)ctx->data, (void *)(long)ctx->data_end, &r.packet)) {
	case PACKET_FOREIGN:
		return XDP_PASS;
	case PACKET_FRAGMENTED:
		return pass(TP_PASSED_FRAGMENT);
	case PACKET_OPTIONS:
		return pass(TP_PASSED_IP_OPTIONS);
	case PACKET_DATAGRAM:
		break;
	}
	number = bpf_ntohs(r.packet.udp->dest);
	port = bpf_map_lookup_elem(&ports, &number);
	if (!port || !(port->listener | port->relay))
		return XDP_PASS;
	return relay_datagram(ctx, &r, port);
}
