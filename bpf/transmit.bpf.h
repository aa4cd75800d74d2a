/* SPDX-License-Identifier: GPL-2.0-only */
/* From what is decided of a packet to its new headers; the hook's own file sends them. */
#ifndef TURNPIKE_BPF_TRANSMIT_H
#define TURNPIKE_BPF_TRANSMIT_H

#include "bpf/relay.bpf.h"

/*
 * A packet on its way by two bindings at once has a FIRST one before R, else that
 * is NULL. B: R's binding, for shapes with IPv6.
 */
static __always_inline int transmit_strip(const struct relay *first, struct shape shape)
{
	if (first)
		return (int)packet_ip_header(shape.in_v6) - (int)packet_ip_header(shape.out_v6);
	return rewrite_strip(shape);
}

/* The new headers; the old IP header is at IP. */
static __always_inline void transmit_headers(const void *ip, struct shape shape,
					     const struct relay *first, const struct relay *r,
					     const struct tp_binding *b, __u32 ip_delta,
					     struct rewrite_headers *h)
{
	const struct tp_leg *leg = r->way.leg;

	rewrite_common(shape, leg, r->hop, &r->rewrite, h);
	if (shape.out_v6)
		rewrite_to_6(shape, b, &r->rewrite, h);
	else if (first)
		rewrite_to_4(shape, leg, csum_u32(leg->addresses) + csum_u32(leg->addresses >> 32),
			     &r->rewrite, 0, h);
	else if (shape.in_v6)
		rewrite_to_4(shape, leg, ip_delta, &r->rewrite, bpf_get_prandom_u32(), h);
	else
		rewrite_4_to_4(ip, shape, leg, ip_delta, &r->rewrite, h);
}

/* The first leg has no hop but `local`, which is as good as its leg is. */
static __always_inline int transmit_confirmed(const struct relay *first, const struct relay *r)
{
	return (!first || !seq_retry(&first->way.leg->sequence, first->way.sequence)) && confirm(r);
}

static __always_inline void transmit_count(const struct relay *first, const struct relay *r,
					   struct shape shape)
{
	if (first)
		count_packet(&first->way, TP_UP, r->rewrite.payload);
	count_packet(&r->way, shape.direction, r->rewrite.payload);
	if (first)
		count(TP_FORWARDED_HAIRPIN);
	else
		count(shape.direction == TP_UP ? TP_FORWARDED_UP : TP_FORWARDED_DOWN);
}

#ifdef HOOK_TC
#include "bpf/transmit_tc.bpf.h"
#else
#include "bpf/transmit_xdp.bpf.h"
#endif

#endif
