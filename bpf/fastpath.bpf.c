// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fast path: relays channel data of committed bindings at XDP.
 *
 * What is not surely ours passes to the server, untouched: everything is
 * decided, and the frame's head is where it is to be, before the first byte is
 * written. Every reason is counted.
 *
 * Values are read again from packet and leg rather than kept, where that needs
 * no second check: registers are few, and both are in the nearest cache.
 */
#include "bpf/compiler.h"
#include "bpf/maps.bpf.h"
#include "bpf/rewrite.h"

char LICENSE[] SEC("license") = "GPL";

/* User space is asked for one next hop so rarely, but at once when routes change. */
#define HOP_ASK_JIFFIES 2

/* Not inlined: what is relayed should not have to jump over it. */
static __noinline int pass(int reason)
{
	count(reason);
	return XDP_PASS;
}

/* What is known of a packet on its way. No map's memory is believed before confirm(). */
struct relay {
	struct flow_way way;
	__u32 hop_sequence; /* before the hop was read */
	__u32 ifindex, device;
	struct rewrite rewrite;
};

/* Has the server, as far as is known, let go of the binding? */
static __always_inline int is_live(const struct tp_translation *t)
{
	__u32 allocation = t->allocation, family = t->families & TP_RELAY_V6 ? TP_V6 : TP_V4;
	struct tp_epochs *epochs_of = bpf_map_lookup_elem(&epochs, &allocation);

	return epochs_of && READ_ONCE(epochs_of->epoch[family]) == t->epoch &&
	       READ_ONCE(shared.config.live[t->server & (TP_SERVERS - 1)]);
}

static __always_inline void ask_for_hop(struct tp_binding *b, tp_handle handle, int direction,
					__u32 generation)
{
	__u32 *asked = &b->hop_asked[direction & 1], before = *asked;
	__u16 now = bpf_jiffies64();
	struct tp_notice n = {
		.kind = TP_NOTICE_HOP,
		.handle = handle,
		.direction = direction,
	};

	if (before >> 16 == (__u16)generation && (__u16)(now - before) < HOP_ASK_JIFFIES)
		return;
	*asked = generation << 16 | now;
	notice(&n);
}

static __always_inline void keep_hop(struct tp_leg *leg, const struct bpf_fib_lookup *fib,
				     const struct tp_device *device, __u32 generation)
{
	struct tp_hop hop = {
		.generation = generation,
		.binding = leg->translation.generation,
		.ifindex = fib->ifindex,
		.mtu = device->mtu,
		.device = device->device,
	};

	__builtin_memcpy(hop.destination, fib->dmac, ETH_ALEN);
	__builtin_memcpy(hop.source, fib->smac, ETH_ALEN);
	hop_write(&leg->hop, &hop);
}

/* Has user space found it for an earlier binding between the same addresses? */
static __noinline int known_hop(struct tp_leg *leg, const struct tp_hop_key *key, __u32 generation)
{
	__u32 index = binding_next_hop(key), begin;
	struct tp_next_hop *known = bpf_map_lookup_elem(&next_hops, &index);
	struct tp_hop hop;
	int same;

	if (!known)
		return 0;
	begin = seq_begin(&known->hop.sequence);
	hop = known->hop;
	same = known->key.source[0] == key->source[0] && known->key.source[1] == key->source[1] &&
	       known->key.destination[0] == key->destination[0] &&
	       known->key.destination[1] == key->destination[1] && known->key.family == key->family;
	if (seq_retry(&known->hop.sequence, begin) || !same || hop.generation != generation)
		return 0;
	hop.binding = leg->translation.generation;
	hop_write(&leg->hop, &hop);
	return 1;
}

/* What the kernel's FIB answers (BPF_FIB_LKUP_RET_*); a next hop by an interface of ours is kept.
 */
static __noinline int ask_fib(struct xdp_md *ctx, struct tp_leg *leg, const struct tp_hop_key *key,
			      __u32 generation)
{
	struct bpf_fib_lookup fib = {
		.family = key->family,
		.l4_protocol = PACKET_UDP,
		.ifindex = ctx->ingress_ifindex,
	};
	struct tp_device *device;
	int err;

	if (key->family == AF_INET6) {
		__builtin_memcpy(fib.ipv6_src, key->source, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, key->destination, sizeof(fib.ipv6_dst));
	} else {
		fib.ipv4_src = key->source[0];
		fib.ipv4_dst = key->destination[0];
	}
	err = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (err != BPF_FIB_LKUP_RET_SUCCESS)
		return err;
	device = bpf_map_lookup_elem(&device_of, &fib.ifindex);
	if (!device)
		return BPF_FIB_LKUP_RET_NOT_FWDED;
	keep_hop(leg, &fib, device, generation);
	return 0;
}

/*
 * Finds the next hop and keeps it: from what is known, or in the kernel's FIB,
 * which answers only where the ingress device forwards and the neighbour is
 * known. Else user space is asked, which looks it up as the server's own socket
 * would. What needs much stack is in calls side by side: there are 512 bytes.
 */
static __noinline int find_hop(struct xdp_md *ctx, struct tp_binding *b, __u32 slot, int direction,
			       __u32 generation)
{
	struct tp_leg *leg = &b->leg[direction & 1];
	struct tp_hop_key key = binding_hop_key(b, direction);
	int err;

	if (known_hop(leg, &key, generation))
		return 0;
	err = ask_fib(ctx, leg, &key, generation);
	if (!err)
		return 0;
	ask_for_hop(b, binding_handle(slot, leg->translation.generation), direction, generation);
	return err == BPF_FIB_LKUP_RET_NO_NEIGH ? TP_PASSED_NO_NEIGHBOUR : TP_PASSED_NO_ROUTE;
}

/* 0, or the reason not to relay; -1: the leg has no hop, or none that is still good. */
static __always_inline int read_hop(struct relay *r, __u32 generation)
{
	const struct tp_hop *hop = &r->way.leg->hop;

	r->hop_sequence = seq_begin(&hop->sequence);
	if (hop->generation != generation || hop->binding != r->way.leg->translation.generation)
		return -1;
	if (r->rewrite.total > hop->mtu)
		return TP_PASSED_MTU;
	r->ifindex = hop->ifindex;
	r->device = hop->device;
	return 0;
}

/* 0 and the hop, cached or looked up; else the reason. */
static __always_inline int get_hop(struct xdp_md *ctx, struct relay *r, int direction,
				   __u32 generation)
{
	int reason = read_hop(r, generation);

	if (reason >= 0)
		return reason;
	reason = find_hop(ctx, r->way.binding, r->way.slot, direction, generation);
	if (reason)
		return reason;
	reason = read_hop(r, generation);
	return reason < 0 ? TP_PASSED_NO_ROUTE : reason;
}

/* Nothing that was read has been written meanwhile. */
static __always_inline int confirm(const struct relay *r)
{
	return !seq_retry(&r->way.leg->translation.sequence, r->way.sequence) &&
	       !seq_retry(&r->way.leg->hop.sequence, r->hop_sequence);
}

/* Packets of a flow come on one CPU as a rule: that one needs no locked addition. */
static __always_inline void count_packet(struct tp_leg *leg, __u32 bytes)
{
	__u32 cpu = bpf_get_smp_processor_id() + 1, claim = READ_ONCE(leg->translation.claim);

	if (claim >> 16 == cpu) {
		leg->own.packets++;
		leg->own.bytes += bytes;
		return;
	}
	if (!(claim >> 16))
		__sync_val_compare_and_swap(&leg->translation.claim, claim, claim | cpu << 16);
	__sync_fetch_and_add(&leg->shared.packets, 1);
	__sync_fetch_and_add(&leg->shared.bytes, bytes);
}

/* The new headers; FRAME's head has moved by rewrite_strip(), the old headers have not. */
static __always_inline void put_together(void *frame, struct shape shape, const struct relay *r,
					 struct rewrite_headers *h)
{
	const struct tp_translation *t = &r->way.leg->translation;

	rewrite_common(shape, r->way.leg, &r->rewrite, h);
	if (shape.out_v6)
		rewrite_to_6(shape, r->way.binding, &r->rewrite, h);
	else if (shape.in_v6)
		rewrite_6_to_4(shape, t, &r->rewrite, bpf_get_prandom_u32(), h);
	else
		rewrite_4_to_4(frame + sizeof(struct ethhdr) - rewrite_strip(shape), shape, t,
			       &r->rewrite, h);
}

/*
 * Moves the frame's head, which may fail, then writes, then cuts its tail, which
 * can't: what goes is there.
 */
static __always_inline int transmit(struct xdp_md *ctx, struct relay *r, struct shape shape)
{
	struct rewrite_headers headers;
	void *frame, *end;

	if (unlikely(bpf_xdp_adjust_head(ctx, rewrite_strip(shape))))
		return pass(TP_PASSED_HEADROOM);
	frame = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	/* The frame's length is known; the verifier wants to see it. */
	if (unlikely(frame + packet_headers(shape.out_v6) +
			     (shape.direction == TP_DOWN ? PACKET_CHANNEL : 0) >
		     end))
		goto restore;
	put_together(frame, shape, r, &headers);
	if (unlikely(!confirm(r)))
		goto restore;
	rewrite_write(frame, shape, &headers);
	if (r->rewrite.trim && bpf_xdp_adjust_tail(ctx, -(int)r->rewrite.trim))
		return XDP_DROP;
	count_packet(r->way.leg, r->rewrite.payload);
	count(shape.direction == TP_UP ? TP_FORWARDED_UP : TP_FORWARDED_DOWN);
	if (!(r->device & TP_HOP_REDIRECT) && r->ifindex == ctx->ingress_ifindex)
		return XDP_TX;
	return bpf_redirect_map(&devices, r->device & ~TP_HOP_REDIRECT, XDP_DROP);
restore:
	return bpf_xdp_adjust_head(ctx, -rewrite_strip(shape)) ? XDP_DROP
							       : pass(TP_PASSED_NO_BINDING);
}

/* The flow's record is found; R->way leads there. */
static __always_inline int relay(struct xdp_md *ctx, const struct packet *p, void *end,
				 struct relay *r, struct shape shape)
{
	const struct tp_translation *t = &r->way.leg->translation;
	int reason;

	if (unlikely(!is_live(t)))
		return pass(TP_PASSED_NO_BINDING);
	if (unlikely(bpf_jiffies64() >= t->expires))
		return pass(TP_PASSED_EXPIRED);
	reason = rewrite_prepare(p, end, shape, t, &r->rewrite);
	if (unlikely(reason))
		return pass(reason);
	reason = get_hop(ctx, r, shape.direction, READ_ONCE(shared.config.hop_generation));
	if (unlikely(reason))
		return pass(reason);
	return transmit(ctx, r, shape);
}

/* All but IPv4 to IPv4, apart from what nearly all packets take. */
static __noinline int relay_v6(struct xdp_md *ctx, struct relay *r, int in_v6, int direction)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	int out_v6 = r->way.leg->translation.families & TP_OUT_V6;
	struct packet p;

	if ((in_v6 ? packet_parse6(data, end, &p) : packet_parse(data, end, &p)) != PACKET_DATAGRAM)
		return XDP_PASS;
	packet_lengths(&p, end, in_v6);
	if (!in_v6 && direction == TP_UP)
		return relay(ctx, &p, end, r, (struct shape){TP_UP, 0, 1});
	if (!in_v6)
		return relay(ctx, &p, end, r, (struct shape){TP_DOWN, 0, 1});
	if (direction == TP_UP && out_v6)
		return relay(ctx, &p, end, r, (struct shape){TP_UP, 1, 1});
	if (direction == TP_UP)
		return relay(ctx, &p, end, r, (struct shape){TP_UP, 1, 0});
	if (out_v6)
		return relay(ctx, &p, end, r, (struct shape){TP_DOWN, 1, 1});
	return relay(ctx, &p, end, r, (struct shape){TP_DOWN, 1, 0});
}

/* CHANNEL: the packet's, upstream; 0 downstream. */
static __always_inline int find_and_relay(struct xdp_md *ctx, const struct packet *p, void *end,
					  __be16 channel)
{
	struct tp_flow flow =
		binding_flow4(read_u64(&p->ip->saddr), read_u32(&p->udp->source), channel);
	int direction = channel ? TP_UP : TP_DOWN;
	struct relay r;

	if (unlikely(!flow_find(&flow, direction, &r.way)))
		return pass(TP_PASSED_NO_BINDING);
	if (unlikely(r.way.leg->translation.families & TP_OUT_V6))
		return relay_v6(ctx, &r, 0, direction);
	return relay(ctx, p, end, &r, (struct shape){direction, 0, 0});
}

static __always_inline int find_and_relay6(struct xdp_md *ctx, const struct packet *p,
					   __be16 channel)
{
	__u64 source[2] = {read_u64(&p->ip6->saddr), read_u64((void *)&p->ip6->saddr + 8)};
	__u64 destination[2] = {read_u64(&p->ip6->daddr), read_u64((void *)&p->ip6->daddr + 8)};
	struct tp_flow flow =
		binding_flow6(source, destination, read_u32(&p->udp->source), channel);
	int direction = channel ? TP_UP : TP_DOWN;
	struct relay r;

	if (!flow_find(&flow, direction, &r.way) ||
	    !binding_is_from(r.way.binding, direction, source, destination))
		return pass(TP_PASSED_NO_BINDING);
	return relay_v6(ctx, &r, 1, direction);
}

/* What to do with a datagram to a port that has bindings. */
enum { TO_SERVER, UPSTREAM, DOWNSTREAM };

/* Upstream if the port is a listener's, and the datagram channel data. */
static __always_inline int classify(const struct packet *p, void *end, const struct tp_port *port)
{
	const __be16 *header = (void *)(p->udp + 1);

	if (port->listener && (void *)(header + 2) <= end && packet_is_channel(header[0]))
		return UPSTREAM;
	return port->relay ? DOWNSTREAM : TO_SERVER;
}

static __noinline int receive_v6(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct tp_port *port;
	struct packet p;

	switch (packet_parse6(data, end, &p)) {
	case PACKET_FRAGMENTED:
		return pass(TP_PASSED_FRAGMENT);
	case PACKET_OPTIONS:
		return pass(TP_PASSED_IP_OPTIONS);
	case PACKET_DATAGRAM:
		break;
	default:
		return XDP_PASS;
	}
	port = &shared.port[bpf_ntohs(p.udp->dest)];
	if (!(port->listener | port->relay))
		return XDP_PASS;
	if (!packet_lengths(&p, end, 1))
		return pass(TP_PASSED_LENGTH);
	switch (classify(&p, end, port)) {
	case UPSTREAM:
		return find_and_relay6(ctx, &p, read_u16(p.udp + 1));
	case DOWNSTREAM:
		return find_and_relay6(ctx, &p, 0);
	}
	return pass(TP_PASSED_CONTROL);
}

SEC("xdp")
int turnpike_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct tp_port *port;
	struct packet p;

	switch (packet_parse(data, end, &p)) {
	case PACKET_FOREIGN:
		return XDP_PASS;
	case PACKET_V6:
		return receive_v6(ctx);
	case PACKET_FRAGMENTED:
		return pass(TP_PASSED_FRAGMENT);
	case PACKET_OPTIONS:
		return pass(TP_PASSED_IP_OPTIONS);
	case PACKET_DATAGRAM:
		break;
	}
	port = &shared.port[bpf_ntohs(p.udp->dest)];
	if (likely(!(port->listener | port->relay)))
		return XDP_PASS;
	if (unlikely(!packet_lengths(&p, end, 0)))
		return pass(TP_PASSED_LENGTH);
	switch (classify(&p, end, port)) {
	case UPSTREAM:
		return find_and_relay(ctx, &p, end, read_u16(p.udp + 1));
	case DOWNSTREAM:
		return find_and_relay(ctx, &p, end, 0);
	}
	return pass(TP_PASSED_CONTROL);
}
