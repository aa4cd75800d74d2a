/* SPDX-License-Identifier: GPL-2.0-only */
/* From new headers to a packet that leaves, at XDP. */
#ifndef TURNPIKE_BPF_TRANSMIT_XDP_H
#define TURNPIKE_BPF_TRANSMIT_XDP_H

#include "bpf/vlan.bpf.h"

/* Is there room for the frame's head to move by STRIP, and for tags before it then? */
static __always_inline int transmit_has_room(struct xdp_md *ctx, int by)
{
	return !bpf_xdp_adjust_head(ctx, by) && !bpf_xdp_adjust_head(ctx, -by);
}

/*
 * What has to be minded for a hop with TP_HOP_FLAGS: 0, or the reason why it
 * can't be taken. Moves the head, and back.
 */
static __noinline int transmit_mind(struct xdp_md *ctx, __u32 ifindex, __u32 device, int strip)
{
	const struct tp_vlan *vlan;

	if (device & TP_HOP_NO_TRANSMIT &&
	    (device & TP_HOP_REDIRECT || !vlan_leaves_where_it_came(ctx, device))) {
		trouble(ctx->ingress_ifindex, TP_TROUBLE_EGRESS);
		return TP_PASSED_EGRESS;
	}
	if (!(device & TP_HOP_TAGGED))
		return 0;
	vlan = bpf_map_lookup_elem(&vlan_of, &ifindex);
	if (!vlan)
		return TP_PASSED_NO_ROUTE;
	if (!transmit_has_room(ctx, strip - vlan_bytes(vlan->tag))) {
		trouble(ctx->ingress_ifindex, TP_TROUBLE_HEADROOM);
		return TP_PASSED_HEADROOM;
	}
	return 0;
}

static __noinline int transmit_no_room(struct xdp_md *ctx)
{
	trouble(ctx->ingress_ifindex, TP_TROUBLE_HEADROOM);
	return pass(TP_PASSED_HEADROOM);
}

static __always_inline int leave(struct xdp_md *ctx, const struct relay *r)
{
	if (unlikely(r->device & TP_HOP_TAGGED))
		return vlan_leave(ctx, r->ifindex, r->device);
	if (!(r->device & TP_HOP_REDIRECT) && r->ifindex == ctx->ingress_ifindex)
		return XDP_TX;
	return bpf_redirect_map(&devices, r->device & ~TP_HOP_FLAGS, XDP_DROP);
}

/*
 * Moves the frame's head, which may fail, then writes, then cuts its tail, which
 * can't: what goes is there.
 */
static __always_inline int transmit(struct xdp_md *ctx, const struct relay *first, struct relay *r,
				    struct shape shape, const struct tp_binding *b, __u32 ip_delta,
				    enum packet_checksum told)
{
	int strip = transmit_strip(first, shape);
	struct rewrite_headers headers;
	void *frame, *end;

	(void)told;
	if (unlikely(strip && bpf_xdp_adjust_head(ctx, strip)))
		return transmit_no_room(ctx);
	frame = context_data(ctx);
	end = context_end(ctx);
	/* The frame's length is known; the verifier wants to see it. */
	if (unlikely(frame + packet_headers(shape.out_v6) +
			     (shape.direction == TP_DOWN ? PACKET_CHANNEL : 0) >
		     end))
		goto restore;
	transmit_headers(frame + sizeof(struct ethhdr) - strip, shape, first, r, b, ip_delta,
			 &headers);
	if (unlikely(!transmit_confirmed(first, r)))
		goto restore;
	rewrite_write(frame, shape, &headers);
	if (r->rewrite.trim && bpf_xdp_adjust_tail(ctx, -(int)r->rewrite.trim))
		return XDP_DROP;
	transmit_count(first, r, shape);
	return leave(ctx, r);
restore:
	return strip && bpf_xdp_adjust_head(ctx, -strip) ? XDP_DROP : pass(TP_PASSED_NO_BINDING);
}

#endif
