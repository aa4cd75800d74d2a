/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames with VLAN tags, relayed as such without. In a program of its own, that
 * the first one jumps to: calls would need more stack than there is.
 */
#ifndef TURNPIKE_BPF_TAGGED_H
#define TURNPIKE_BPF_TAGGED_H

#include "bpf/fastpath.bpf.h"

/* A frame's tags while they are off. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vlan_head);
} tags_off SEC(".maps");

static __always_inline int receive_tagged(struct xdp_md *ctx)
{
	struct vlan_head *head = bpf_map_lookup_elem(&tags_off, &zero_key);
	int verdict;

	if (!head || !vlan_parse(ctx, head) || vlan_pop(ctx, head))
		return XDP_PASS;
	verdict = receive(ctx);
	if (verdict != XDP_PASS && verdict != TO_TAGGED) /* that would be a third tag */
		return verdict;
	head = bpf_map_lookup_elem(&tags_off, &zero_key);
	return !head || vlan_push(ctx, head) ? XDP_DROP : XDP_PASS;
}

#endif
