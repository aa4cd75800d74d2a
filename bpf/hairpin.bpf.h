/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From one client to another of the same server, through both relayed
 * addresses at once: upstream by the first's binding, downstream by the
 * second's. The server would send it to itself in between; on the wire there
 * is no such packet, nor may there be.
 */
#ifndef TURNPIKE_BPF_HAIRPIN_H
#define TURNPIKE_BPF_HAIRPIN_H

#include "bpf/transmit.bpf.h"

/* The second binding: the one whose relayed address and peer are the first's peer and relayed
 * address. */
static __always_inline int hairpin_find(const struct relay *in, struct relay *out)
{
	const struct tp_leg *leg = in->way.leg;
	const struct tp_binding *b;
	struct tp_flow flow;

	if (!leg_out_v6(leg)) {
		flow = binding_flow4(leg->addresses, leg->ports, 0);
		return flow_find(&flow, TP_DOWN, &out->way);
	}
	b = binding_at(in->way.slot);
	if (!b)
		return 0;
	flow = binding_flow6(b->address[TP_RELAY], b->address[TP_PEER], leg->ports, 0);
	return flow_find6(&flow, TP_DOWN, b->address[TP_RELAY], b->address[TP_PEER], &out->way);
}

/* The sums of one leg, whose packets are of these families. */
static __always_inline struct binding_sums hairpin_sums(const struct relay *r, int direction,
							int in_v6, int out_v6,
							const struct tp_binding *b)
{
	return rewrite_sums((struct shape){direction, in_v6, out_v6}, r->way.leg, b);
}

/*
 * Decides as both directions would. What one binding takes out of the checksum
 * for the channel header's length, the other puts in.
 */
static __always_inline int hairpin_prepare(const struct packet *p, void *end, struct shape shape,
					   enum packet_checksum told, const struct relay *in,
					   struct relay *out, const struct tp_binding *second)
{
	const struct tp_binding *first = binding_at(in->way.slot);
	int middle_v6 = leg_out_v6(in->way.leg);
	struct shape up = {TP_UP, shape.in_v6, shape.out_v6};
	struct rewrite *r = &out->rewrite;
	struct binding_sums sums;
	int reason;

	if (!first)
		return TP_PASSED_NO_BINDING;
	sums = hairpin_sums(in, TP_UP, shape.in_v6, middle_v6, first);
	reason = rewrite_prepare(p, end, up, &sums, told, r);
	if (reason)
		return reason;
	/* The header is made anew, so one that is wrong must not come out right. */
	if (!shape.in_v6 && !packet_ip_check_right(p))
		return TP_PASSED_CHECKSUM;
	sums = hairpin_sums(out, TP_DOWN, middle_v6, shape.out_v6, second);
	r->udp_check = csum_udp(csum_not(r->udp_check) + sums.udp + bpf_htons(r->payload));
	r->total += PACKET_CHANNEL;
	if (told == PACKET_BEGUN)
		r->udp_check = rewrite_begun(shape, out->way.leg, second, r);
	return 0;
}

static __always_inline int hairpin_as(CONTEXT *ctx, const struct relay *in, struct relay *out,
				      struct shape shape)
{
	void *data = context_data(ctx), *end = context_end(ctx);
	const struct tp_binding *second = binding_at(out->way.slot);
	enum packet_checksum told = context_checksum(ctx);
	struct packet p;
	int reason;

	if (!second || (shape.in_v6 ? packet_parse6(data, end, &p) : packet_parse(data, end, &p)) !=
			       PACKET_DATAGRAM)
		return VERDICT_PASS;
	packet_lengths(&p, context_length(ctx), shape.in_v6);
	reason = hairpin_prepare(&p, end, shape, told, in, out, second);
	if (reason)
		return pass(reason);
	reason = get_hop(out, TP_DOWN, READ_ONCE(shared.config.hop_generation));
	if (reason)
		return pass(reason);
	if (out->device & TP_HOP_LOCAL)
		return pass(TP_PASSED_NO_ROUTE);
	if (out->device & TP_HOP_MIND) {
		reason = transmit_mind(ctx, out->ifindex, out->device, transmit_strip(in, shape));
		if (reason)
			return pass(reason);
	}
	return transmit(ctx, in, out, shape, second, 0, told);
}

/* IN: the first binding, with all of its checks done. */
static __noinline int hairpin(CONTEXT *ctx, const struct relay *in, int in_v6)
{
	struct relay out = {}; /* or some compilers spill what was never set */
	const struct tp_leg *leg;

	if (!hairpin_find(in, &out))
		return pass(TP_PASSED_NO_BINDING);
	leg = out.way.leg;
	if (!is_live(leg, TP_DOWN))
		return pass(TP_PASSED_NO_BINDING);
	if (is_expired(leg))
		return pass(TP_PASSED_EXPIRED);
	if (in_v6)
		return leg_out_v6(leg) ? hairpin_as(ctx, in, &out, (struct shape){TP_DOWN, 1, 1})
				       : hairpin_as(ctx, in, &out, (struct shape){TP_DOWN, 1, 0});
	return leg_out_v6(leg) ? hairpin_as(ctx, in, &out, (struct shape){TP_DOWN, 0, 1})
			       : hairpin_as(ctx, in, &out, (struct shape){TP_DOWN, 0, 0});
}

#endif
