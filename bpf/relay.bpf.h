/* SPDX-License-Identifier: GPL-2.0-only */
/* What is asked of a binding before a packet is relayed by it, and counted after. */
#ifndef TURNPIKE_BPF_RELAY_H
#define TURNPIKE_BPF_RELAY_H

#include "bpf/context.bpf.h"
#include "bpf/hop.bpf.h"
#include "bpf/trouble.bpf.h"

/* Not inlined: what is relayed should not have to jump over it. Not static: verified once. */
__noinline int pass(int reason)
{
	count(reason);
	return VERDICT_PASS;
}

/* What is known of a packet on its way. No map's memory is believed before confirm(). */
struct relay {
	struct flow_way way;
	const struct tp_hop *hop;
	__u32 hop_sequence;    /* before the hop was read */
	__u32 ifindex, device; /* the hop's */
	struct rewrite rewrite;
};

/* Has the server, as far as is known, let go of the binding? */
static __always_inline int is_live(const struct tp_leg *leg, int direction)
{
	__u32 allocation = leg->allocation, family = leg_relay_v6(leg, direction) ? TP_V6 : TP_V4;
	struct tp_epochs *epochs_of = bpf_map_lookup_elem(&epochs, &allocation);
	__u32 server = leg->in.ports >> TP_LEG_SERVER_SHIFT & (TP_SERVERS - 1);

	return epochs_of && (__u16)READ_ONCE(epochs_of->epoch[family]) == leg->epoch &&
	       READ_ONCE(shared.config.live[server]) &&
	       bpf_jiffies64() < READ_ONCE(shared.config.lease);
}

/* The lower halves of the clock; what is to come is less than half their range away. */
static __always_inline int is_expired(const struct tp_leg *leg)
{
	return (__s32)((__u32)bpf_jiffies64() - leg->expires) >= 0;
}

/* 0, or the reason not to relay; -1: the leg has no hop, or none that is still good. */
static __always_inline int read_hop(struct relay *r, __u32 generation)
{
	__u32 word = READ_ONCE(r->way.leg->hop), index = hop_index(word);

	if (!hop_is_of(word, generation))
		return -1;
	r->hop = bpf_map_lookup_elem(&hops, &index);
	if (!r->hop)
		return -1;
	r->hop_sequence = seq_begin(&r->hop->sequence);
	if (r->hop->generation != generation)
		return -1;
	if (r->rewrite.total > r->hop->mtu)
		return TP_PASSED_MTU;
	r->ifindex = r->hop->ifindex;
	r->device = r->hop->device;
	return 0;
}

/* 0 and the hop, known to the leg or looked up; else the reason. */
static __always_inline int get_hop(struct relay *r, int direction, __u32 generation)
{
	int reason = read_hop(r, generation);

	if (reason >= 0)
		return reason;
	reason = find_hop(r->way.slot, direction, generation);
	if (reason)
		return reason;
	reason = read_hop(r, generation);
	return reason < 0 ? TP_PASSED_NO_ROUTE : reason;
}

/* Nothing that was read has been written meanwhile. */
static __always_inline int confirm(const struct relay *r)
{
	return !seq_retry(&r->way.leg->sequence, r->way.sequence) &&
	       !seq_retry(&r->hop->sequence, r->hop_sequence);
}

/* Longer than any CPU takes for a packet, and longer than a flow is silent that matters. */
#define OWNER_JIFFIES 256

/*
 * A leg's counters are its owner's, who adds without a lock. An owner that has
 * none of the flow's packets any more (a queue's interrupt has moved, say) is
 * followed by one that has.
 */
static __always_inline void watch_owner(struct tp_leg *leg, struct tp_watch *watch, __u32 cpu)
{
	__u32 packets = READ_ONCE(leg->own.packets), now = bpf_jiffies64();
	__u32 claim = READ_ONCE(leg->claim);

	if (watch->packets != packets) {
		watch->packets = packets;
		watch->since = now;
	} else if (!(claim >> 16) || now - watch->since > OWNER_JIFFIES) {
		__sync_val_compare_and_swap(&leg->claim, claim, (__u16)claim | cpu << 16);
	}
}

static __noinline int count_shared(__u32 slot, int direction, __u32 bytes, __u32 cpu)
{
	struct tp_binding *b = binding_at(slot);
	struct tp_leg *leg = leg_of(slot, direction);

	if (!b || !leg)
		return 0;
	direction &= 1;
	__sync_fetch_and_add(&b->shared[direction].packets, 1);
	__sync_fetch_and_add(&b->shared[direction].bytes, bytes);
	watch_owner(leg, &b->watch[direction], cpu);
	return 0;
}

/* Packets of a flow come on one CPU as a rule. */
static __always_inline void count_packet(const struct flow_way *way, int direction, __u32 bytes)
{
	__u32 cpu = bpf_get_smp_processor_id() + 1;

	if (unlikely(READ_ONCE(way->leg->owner) != (__u16)cpu)) {
		count_shared(way->slot, direction, bytes, cpu);
		return;
	}
	way->leg->own.packets++;
	way->leg->own.bytes += bytes;
}

#endif
