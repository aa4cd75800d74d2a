/* SPDX-License-Identifier: GPL-2.0-only */
/* What is asked of a binding before a packet is relayed by it, and counted after. */
#ifndef TURNPIKE_BPF_RELAY_H
#define TURNPIKE_BPF_RELAY_H

#include "bpf/hop.bpf.h"

/* Not inlined: what is relayed should not have to jump over it. Not static: verified once. */
__noinline int pass(int reason)
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
	       READ_ONCE(shared.config.live[t->server & (TP_SERVERS - 1)]) &&
	       bpf_jiffies64() < READ_ONCE(shared.config.lease);
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

static __always_inline int leave(struct xdp_md *ctx, const struct relay *r)
{
	if (!(r->device & TP_HOP_REDIRECT) && r->ifindex == ctx->ingress_ifindex)
		return XDP_TX;
	return bpf_redirect_map(&devices, r->device & ~TP_HOP_REDIRECT, XDP_DROP);
}

#endif
