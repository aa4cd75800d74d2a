/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a leg's packets leave, when the leg doesn't know (any more). */
#ifndef TURNPIKE_BPF_HOP_H
#define TURNPIKE_BPF_HOP_H

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
		.handle = binding_handle(slot, b->leg[direction & 1].translation.generation),
		.direction = direction,
	};

	if (before >> 16 == (__u16)generation && (__u16)(now - before) < HOP_ASK_JIFFIES)
		return 0;
	*asked = generation << 16 | now;
	notice(&n);
	return 0;
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
static __noinline int known_hop(struct tp_binding *b, int direction, __u32 generation)
{
	struct tp_leg *leg = &b->leg[direction & 1];
	struct tp_hop_key key = binding_hop_key(b, direction);
	__u32 index = binding_next_hop(&key), begin;
	struct tp_next_hop *known = bpf_map_lookup_elem(&next_hops, &index);
	struct tp_hop hop;
	int same;

	if (!known)
		return 0;
	begin = seq_begin(&known->hop.sequence);
	same = known->key.source[0] == key.source[0] && known->key.source[1] == key.source[1] &&
	       known->key.destination[0] == key.destination[0] &&
	       known->key.destination[1] == key.destination[1] && known->key.family == key.family;
	hop = known->hop;
	if (seq_retry(&known->hop.sequence, begin) || !same || hop.generation != generation)
		return 0;
	hop.binding = leg->translation.generation;
	hop_write(&leg->hop, &hop);
	return 1;
}

/* What the kernel's FIB answers (BPF_FIB_LKUP_RET_*); a next hop by an interface of ours is kept.
 */
static __noinline int ask_fib(struct xdp_md *ctx, struct tp_binding *b, int direction,
			      __u32 generation)
{
	struct binding_ends ends = binding_ends(direction);
	const __u64 *source = b->address[ends.source], *destination = b->address[ends.destination];
	struct bpf_fib_lookup fib = {
		.family = binding_is_v6(b, ends.source) ? AF_INET6 : AF_INET,
		.l4_protocol = PACKET_UDP,
		.ifindex = ctx->ingress_ifindex,
	};
	struct tp_device *device;
	int err;

	if (fib.family == AF_INET6) {
		__builtin_memcpy(fib.ipv6_src, source, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, destination, sizeof(fib.ipv6_dst));
	} else {
		fib.ipv4_src = source[0];
		fib.ipv4_dst = destination[0];
	}
	err = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (err != BPF_FIB_LKUP_RET_SUCCESS)
		return err;
	device = bpf_map_lookup_elem(&device_of, &fib.ifindex);
	if (!device)
		return BPF_FIB_LKUP_RET_NOT_FWDED;
	keep_hop(&b->leg[direction & 1], &fib, device, generation);
	return 0;
}

/*
 * Finds the next hop and keeps it: from what is known, or in the kernel's FIB,
 * which answers only where the ingress device forwards and the neighbour is
 * known. Else user space is asked, which looks it up as the server's own socket
 * would. What needs much stack is in calls side by side: all that are under way
 * have 512 bytes together, and before Linux 6.7 each counts in steps of 32.
 * Not static, so that it is verified once, not once a call.
 */
__noinline int find_hop(struct xdp_md *ctx, struct tp_binding *b, __u32 slot, int direction,
			__u32 generation)
{
	int err;

	if (!b)
		return TP_PASSED_NO_ROUTE;
	if (known_hop(b, direction, generation))
		return 0;
	err = ask_fib(ctx, b, direction, generation);
	if (!err)
		return 0;
	ask_for_hop(b, slot, direction, generation);
	return err == BPF_FIB_LKUP_RET_NO_NEIGH ? TP_PASSED_NO_NEIGHBOUR : TP_PASSED_NO_ROUTE;
}

#endif
