/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fast path: relays channel data of committed bindings, at the hook that
 * context.bpf.h is told.
 *
 * What is not surely ours passes to the server, untouched: everything is
 * decided, and the frame's head is where it is to be, before the first byte is
 * written. Every reason is counted.
 *
 * Values are read again from packet and leg rather than kept, where that needs
 * no second check: registers are few, and both are in the nearest cache.
 */
#ifndef TURNPIKE_BPF_FASTPATH_H
#define TURNPIKE_BPF_FASTPATH_H

#include "bpf/hairpin.bpf.h"

/* No verdict: the packet goes to an address of this machine, maybe another client's relay. */
#define TO_HAIRPIN (-2)

/* Not by what was decided of the packet alone. CHECK: its checksum. */
static __noinline int refuse(CONTEXT *ctx, int reason, __u32 check)
{
	if (reason == TP_PASSED_CHECKSUM && check)
		trouble(ctx->ingress_ifindex, TP_TROUBLE_PARTIAL);
	return pass(reason);
}

/* The flow's leg is found; R->way leads there. B: its binding, for shapes with IPv6. */
static __always_inline int relay(CONTEXT *ctx, const struct packet *p, void *end, struct relay *r,
				 struct shape shape, const struct tp_binding *b)
{
	const struct tp_leg *leg = r->way.leg;
	enum packet_checksum told;
	struct binding_sums sums;
	int reason;

	if (unlikely(!is_live(leg, shape.direction)))
		return pass(TP_PASSED_NO_BINDING);
	if (unlikely(is_expired(leg)))
		return pass(TP_PASSED_EXPIRED);
	sums = rewrite_sums(shape, leg, b);
	told = context_checksum(ctx);
	reason = rewrite_prepare(p, end, shape, &sums, told, &r->rewrite);
	if (unlikely(reason))
		return refuse(ctx, reason, p->udp->check);
	if (told == PACKET_BEGUN)
		r->rewrite.udp_check = rewrite_begun(shape, leg, b, &r->rewrite);
	reason = get_hop(r, shape.direction, READ_ONCE(shared.config.hop_generation));
	if (unlikely(reason))
		return pass(reason);
	if (unlikely(r->device & TP_HOP_MIND)) {
		if (r->device & TP_HOP_LOCAL)
			return shape.direction == TP_UP ? TO_HAIRPIN : pass(TP_PASSED_NO_ROUTE);
		reason = transmit_mind(ctx, r->ifindex, r->device, transmit_strip(NULL, shape));
		if (reason)
			return pass(reason);
	}
	return transmit(ctx, NULL, r, shape, b, sums.ip, told);
}

/* All but IPv4 to IPv4, apart from what nearly all packets take. */
static __noinline int relay_v6(CONTEXT *ctx, struct relay *r, int in_v6, int direction)
{
	void *data = context_data(ctx), *end = context_end(ctx);
	const struct tp_binding *b = binding_at(r->way.slot);
	int out_v6 = leg_out_v6(r->way.leg);
	struct packet p;

	if (!b ||
	    (in_v6 ? packet_parse6(data, end, &p) : packet_parse(data, end, &p)) != PACKET_DATAGRAM)
		return VERDICT_PASS;
	packet_lengths(&p, context_length(ctx), in_v6);
	if (!in_v6 && direction == TP_UP)
		return relay(ctx, &p, end, r, (struct shape){TP_UP, 0, 1}, b);
	if (!in_v6)
		return relay(ctx, &p, end, r, (struct shape){TP_DOWN, 0, 1}, b);
	if (direction == TP_UP && out_v6)
		return relay(ctx, &p, end, r, (struct shape){TP_UP, 1, 1}, b);
	if (direction == TP_UP)
		return relay(ctx, &p, end, r, (struct shape){TP_UP, 1, 0}, b);
	if (out_v6)
		return relay(ctx, &p, end, r, (struct shape){TP_DOWN, 1, 1}, b);
	return relay(ctx, &p, end, r, (struct shape){TP_DOWN, 1, 0}, b);
}

/* CHANNEL: the packet's, upstream; 0 downstream. */
static __always_inline int find_and_relay(CONTEXT *ctx, const struct packet *p, void *end,
					  __be16 channel)
{
	struct tp_flow flow =
		binding_flow4(read_u64(&p->ip->saddr), read_u32(&p->udp->source), channel);
	int direction = channel ? TP_UP : TP_DOWN, verdict;
	struct relay r;

	if (unlikely(!flow_find(&flow, direction, &r.way)))
		return pass(TP_PASSED_NO_BINDING);
	if (unlikely(leg_out_v6(r.way.leg)))
		verdict = relay_v6(ctx, &r, 0, direction);
	else
		verdict = relay(ctx, p, end, &r, (struct shape){direction, 0, 0}, NULL);
	return channel && verdict == TO_HAIRPIN ? hairpin(ctx, &r, 0) : verdict;
}

static __always_inline int find_and_relay6(CONTEXT *ctx, const struct packet *p, __be16 channel)
{
	const __u64 *source = (const void *)&p->ip6->saddr, *destination = source + 2;
	struct tp_flow flow =
		binding_flow6(source, destination, read_u32(&p->udp->source), channel);
	int direction = channel ? TP_UP : TP_DOWN, verdict;
	struct relay r;

	if (!flow_find6(&flow, direction, source, destination, &r.way))
		return pass(TP_PASSED_NO_BINDING);
	verdict = relay_v6(ctx, &r, 1, direction);
	return channel && verdict == TO_HAIRPIN ? hairpin(ctx, &r, 1) : verdict;
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

static __noinline int receive_v6(CONTEXT *ctx)
{
	void *data = context_data(ctx), *end = context_end(ctx);
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
		return VERDICT_PASS;
	}
	port = &shared.port[bpf_ntohs(p.udp->dest)];
	if (!(port->listener | port->relay))
		return VERDICT_PASS;
	if (!packet_lengths(&p, context_length(ctx), 1))
		return pass(TP_PASSED_LENGTH);
	switch (classify(&p, end, port)) {
	case UPSTREAM:
		return find_and_relay6(ctx, &p, read_u16(p.udp + 1));
	case DOWNSTREAM:
		return find_and_relay6(ctx, &p, 0);
	}
	return pass(TP_PASSED_CONTROL);
}

/* No verdict: the frame begins with a VLAN tag; or it is IPv6's. */
#define TO_TAGGED (-3)
#define TO_V6	  (-4)

/* IPv4, which nearly all packets are. */
static __always_inline int receive_v4(CONTEXT *ctx)
{
	void *data = context_data(ctx), *end = context_end(ctx);
	const struct tp_port *port;
	struct packet p;

	switch (packet_parse(data, end, &p)) {
	case PACKET_FOREIGN:
		return VERDICT_PASS;
	case PACKET_V6:
		return TO_V6;
	case PACKET_TAGGED:
		return TO_TAGGED;
	case PACKET_FRAGMENTED:
		return pass(TP_PASSED_FRAGMENT);
	case PACKET_OPTIONS:
		return pass(TP_PASSED_IP_OPTIONS);
	case PACKET_DATAGRAM:
		break;
	}
	port = &shared.port[bpf_ntohs(p.udp->dest)];
	if (likely(!(port->listener | port->relay)))
		return VERDICT_PASS;
	if (unlikely(!packet_lengths(&p, context_length(ctx), 0)))
		return pass(TP_PASSED_LENGTH);
	switch (classify(&p, end, port)) {
	case UPSTREAM:
		return find_and_relay(ctx, &p, end, read_u16(p.udp + 1));
	case DOWNSTREAM:
		return find_and_relay(ctx, &p, end, 0);
	}
	return pass(TP_PASSED_CONTROL);
}

static __always_inline int receive(CONTEXT *ctx)
{
	int verdict = receive_v4(ctx);

	return unlikely(verdict == TO_V6) ? receive_v6(ctx) : verdict;
}

#endif
