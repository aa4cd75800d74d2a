/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a leg's packets leave, when the leg doesn't know (any more). */
#ifndef TURNPIKE_BPF_HOP_BPF_H
#define TURNPIKE_BPF_HOP_BPF_H

#include "bpf/maps.bpf.h"
#include "bpf/rewrite.h"

/* User space is asked for one next hop so rarely, but at once when routes change. */
#define HOP_ASK_JIFFIES 2

static __noinline int ask_for_hop(struct tp_binding *b, __u32 slot, int direction, __u32 generation)
{
	__u32 *asked = &b->hop_asked[direction & 1], before = *asked;
	__u16 now = bpf_jiffies64();
	struct tp_notice n = {
		.kind = TP_NOTICE_HOP,
		.handle = binding_handle(slot, b->generation),
		.direction = direction,
	};

	if (before >> 16 == (__u16)generation && (__u16)(now - before) < HOP_ASK_JIFFIES)
		return 0;
	*asked = generation << 16 | now;
	notice(&n);
	return 0;
}

/* Index of the hop among all; HOP_NONE if there is no room. */
static __noinline __u32 add_hop(const struct tp_hop *value)
{
	for (int i = 0; i < HOP_PROBES; i++) {
		__u32 index = hop_place(value, i);
		struct tp_hop *at = bpf_map_lookup_elem(&hops, &index);

		if (at && index != HOP_NONE && hop_put(at, value) == HOP_HERE)
			return index;
	}
	return HOP_NONE;
}

/* Has user space found it, for this or another binding between the same addresses? */
static __noinline __u32 known_hop(const struct tp_binding *b, int direction, __u32 generation)
{
	struct tp_route_key key = binding_route_key(b, direction);
	__u32 index = hop_route(&key), begin, hop;
	struct tp_route *known = bpf_map_lookup_elem(&routes, &index);
	int same;

	if (!known)
		return HOP_NONE;
	begin = seq_begin(&known->sequence);
	same = known->key.source[0] == key.source[0] && known->key.source[1] == key.source[1] &&
	       known->key.destination[0] == key.destination[0] &&
	       known->key.destination[1] == key.destination[1] && known->key.family == key.family &&
	       known->generation == generation;
	hop = known->hop;
	return same && !seq_retry(&known->sequence, begin) ? hop : HOP_NONE;
}

/* What a question to the FIB needs: too much for a stack that is shared by all calls under way. */
struct fib_question {
	struct bpf_fib_lookup fib;
	struct tp_hop hop;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fib_question);
} fib_questions SEC(".maps");

/* Asks the kernel's FIB: 0, or the reason why its answer is no use (no route by an interface of
 * ours). */
static __always_inline int ask_fib(struct xdp_md *ctx, const struct tp_binding *b, int direction,
				   struct fib_question *q)
{
	struct binding_ends ends = binding_ends(direction);
	const __u64 *source = b->address[ends.source], *destination = b->address[ends.destination];
	struct bpf_fib_lookup *fib = &q->fib;
	struct tp_device *device;
	int err;

	__builtin_memset(fib, 0, sizeof(*fib));
	fib->family = binding_is_v6(b, ends.source) ? AF_INET6 : AF_INET;
	fib->l4_protocol = PACKET_UDP;
	fib->ifindex = ctx->ingress_ifindex;
	if (fib->family == AF_INET6) {
		__builtin_memcpy(fib->ipv6_src, source, sizeof(fib->ipv6_src));
		__builtin_memcpy(fib->ipv6_dst, destination, sizeof(fib->ipv6_dst));
	} else {
		fib->ipv4_src = source[0];
		fib->ipv4_dst = destination[0];
	}
	err = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
	if (err == BPF_FIB_LKUP_RET_NO_NEIGH)
		return TP_PASSED_NO_NEIGHBOUR;
	if (err)
		return TP_PASSED_NO_ROUTE;
	device = bpf_map_lookup_elem(&device_of, &fib->ifindex);
	if (!device)
		return TP_PASSED_NO_ROUTE;
	q->hop.ifindex = fib->ifindex;
	q->hop.mtu = device->mtu;
	q->hop.device = device->device;
	__builtin_memcpy(q->hop.destination, fib->dmac, ETH_ALEN);
	__builtin_memcpy(q->hop.source, fib->smac, ETH_ALEN);
	return 0;
}

/* Index of the hop that the kernel's FIB knows; negative: the reason why not. */
static __noinline int fib_hop(struct xdp_md *ctx, const struct tp_binding *b, int direction,
			      __u32 generation)
{
	struct fib_question *q = bpf_map_lookup_elem(&fib_questions, &zero_key);
	int reason, hop;

	if (!q)
		return -TP_PASSED_NO_ROUTE;
	reason = ask_fib(ctx, b, direction, q);
	if (reason)
		return -reason;
	q->hop.generation = generation;
	hop = add_hop(&q->hop);
	return hop == HOP_NONE ? -TP_PASSED_NO_ROUTE : hop;
}

/*
 * Finds the next hop for a leg: it is known, or in the kernel's FIB, which
 * answers only where the ingress device forwards and the neighbour is known.
 * Else user space is asked, which looks it up as the server's own socket
 * would. What needs much stack is in calls side by side: all that are under way
 * have 512 bytes together, and before Linux 6.7 each counts in steps of 32.
 * Not static, so that it is verified once, not once a call.
 */
__noinline int find_hop(struct xdp_md *ctx, __u32 slot, int direction, __u32 generation)
{
	struct tp_binding *b = binding_at(slot);
	struct tp_leg *leg = leg_of(slot, direction);
	__u32 before;
	int hop;

	if (!b || !leg)
		return TP_PASSED_NO_ROUTE;
	before = READ_ONCE(leg->hop); /* of this life: it changes with the addresses, after them */
	seq_read_barrier();
	hop = known_hop(b, direction, generation);
	if (hop == HOP_NONE)
		hop = fib_hop(ctx, b, direction, generation);
	if (hop < 0) {
		ask_for_hop(b, slot, direction, generation);
		return -hop;
	}
	__sync_val_compare_and_swap(&leg->hop, before, hop_word(hop, generation));
	return 0;
}

#endif
