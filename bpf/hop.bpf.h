/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a leg's packets leave, when the leg doesn't know (any more). */
#ifndef TURNPIKE_BPF_HOP_BPF_H
#define TURNPIKE_BPF_HOP_BPF_H

#include "bpf/maps.bpf.h"
#include "bpf/rewrite.h"

/* User space is asked for one next hop so rarely, but at once when routes change. */
#define HOP_ASK_JIFFIES 2

static __noinline int ask_for_hop(__u32 slot, int direction, __u32 generation)
{
	struct tp_binding *b = binding_at(slot);
	__u16 now = bpf_jiffies64();
	__u32 *asked, before;

	if (!b)
		return 0;
	asked = &b->hop_asked[direction & 1];
	before = *asked;
	if (before >> 16 == (__u16)generation && (__u16)(now - before) < HOP_ASK_JIFFIES)
		return 0;
	*asked = generation << 16 | now;
	notice(&(struct tp_notice){
		.kind = TP_NOTICE_HOP,
		.handle = binding_handle(slot, b->generation),
		.direction = direction,
	});
	return 0;
}

/*
 * Has user space found it, for this or another binding between the same
 * addresses? Its index, or the reason why there is none, negative.
 */
static __noinline int known_hop(__u32 slot, int direction, __u32 generation)
{
	const struct tp_binding *b = binding_at(slot);
	__u32 index, begin, hop, why;
	struct tp_route_key key;
	struct tp_route *known;
	int same;

	if (!b)
		return -TP_PASSED_NO_ROUTE;
	key = binding_route_key(b, direction);
	index = hop_route(&key);
	known = bpf_map_lookup_elem(&routes, &index);
	if (!known)
		return -TP_PASSED_NO_ROUTE;
	begin = seq_begin(&known->sequence);
	same = known->key.source[0] == key.source[0] && known->key.source[1] == key.source[1] &&
	       known->key.destination[0] == key.destination[0] &&
	       known->key.destination[1] == key.destination[1] && known->key.family == key.family &&
	       known->generation == generation;
	hop = known->hop;
	why = known->why;
	if (!same || seq_retry(&known->sequence, begin) || hop >= HOP_NONE)
		return -TP_PASSED_NO_ROUTE;
	return why ? -(int)(why % TP_COUNTERS) : (int)hop;
}

/*
 * Finds the next hop for a leg: user space looks it up, as the server's own
 * socket would. bpf_fib_lookup() can't say that: it answers for packets that are
 * forwarded, by other rules, and doesn't keep the neighbour confirmed. Not
 * static, so that it is verified once, not once a call.
 */
__noinline int find_hop(__u32 slot, int direction, __u32 generation)
{
	struct tp_leg *leg = leg_of(slot, direction);
	__u32 before;
	int hop;

	if (!leg)
		return TP_PASSED_NO_ROUTE;
	before = READ_ONCE(leg->hop); /* of this life: it changes with the addresses, after them */
	seq_read_barrier();
	hop = known_hop(slot, direction, generation);
	if (hop < 0) {
		ask_for_hop(slot, direction, generation);
		return -hop;
	}
	__sync_val_compare_and_swap(&leg->hop, before, hop_word(hop, generation));
	return 0;
}

#endif
