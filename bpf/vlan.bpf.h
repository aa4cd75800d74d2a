/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tagged frames at XDP (IEEE 802.1Q, 802.1ad). The tags come off, the frame is
 * relayed as any other, and they go on again if it passes after all; the tags of
 * the VLAN that a packet leaves by go on at the very end. So all the rest knows
 * nothing of tags.
 */
#ifndef TURNPIKE_BPF_VLAN_H
#define TURNPIKE_BPF_VLAN_H

#include "bpf/context.bpf.h"
#include "bpf/maps.bpf.h"

#define VLAN_TAG       4 /* bytes */
#define VLAN_ADDRESSES 12
#define VLAN_NUMBER    0x0fff

/* What is before a tagged frame's type: addresses and tags, as they lie. */
struct vlan_head {
	__u64 addresses;
	__u32 addresses2;
	struct tp_tag tag[TP_VLAN_TAGS];
};

static __always_inline int vlan_bytes(const struct tp_tag *tag)
{
	return tag[1].proto ? 2 * VLAN_TAG : VLAN_TAG;
}

/* Writes addresses and tags at FRAME, which has room for both tags. */
static __always_inline void vlan_write(void *frame, const struct vlan_head *h)
{
	write_u64(frame, h->addresses);
	write_u32(frame + 8, h->addresses2);
	write_u16(frame + 12, h->tag[0].proto);
	write_u16(frame + 14, h->tag[0].tci);
	if (!h->tag[1].proto)
		return;
	write_u16(frame + 16, h->tag[1].proto);
	write_u16(frame + 18, h->tag[1].tci);
}

/* Puts addresses and tags before a frame whose addresses are to go; not 0: there's no room. */
static __noinline int vlan_push(struct xdp_md *ctx, const struct vlan_head *h)
{
	void *frame, *end;

	if (bpf_xdp_adjust_head(ctx, -vlan_bytes(h->tag)))
		return -1;
	frame = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (frame + VLAN_ADDRESSES + 2 * VLAN_TAG > end)
		return -1;
	vlan_write(frame, h);
	return 0;
}

/* Takes the tags off. Not 0: it couldn't, and changed nothing. */
static __always_inline int vlan_pop(struct xdp_md *ctx, const struct vlan_head *h)
{
	void *frame, *end;

	if (bpf_xdp_adjust_head(ctx, vlan_bytes(h->tag)))
		return -1;
	frame = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (frame + VLAN_ADDRESSES > end)
		return -1;
	write_u64(frame, h->addresses);
	write_u32(frame + 8, h->addresses2);
	return 0;
}

/* Is it for a VLAN device whose packets are taken here? */
static __always_inline int vlan_is_ours(__u32 ifindex, const struct vlan_head *h)
{
	struct tp_vlan key = {.ifindex = ifindex};

	key.tag[0].proto = h->tag[0].proto;
	key.tag[0].tci = h->tag[0].tci & bpf_htons(VLAN_NUMBER);
	key.tag[1].proto = h->tag[1].proto;
	key.tag[1].tci = h->tag[1].tci & bpf_htons(VLAN_NUMBER);
	return bpf_map_lookup_elem(&vlans, &key) != NULL;
}

/* Has the datagram behind the tags, at IP, a port with a role? Else its tags may stay. */
static __always_inline int vlan_has_role(const void *ip, void *end, __be16 type)
{
	__u32 header =
		type == bpf_htons(ETH_P_IPV6) ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const struct udphdr *udp = ip + header;
	const struct tp_port *port;

	if ((type != bpf_htons(ETH_P_IP) && type != bpf_htons(ETH_P_IPV6)) ||
	    (void *)(udp + 1) > end)
		return 0;
	port = &shared.port[bpf_ntohs(udp->dest)];
	return port->listener | port->relay;
}

/* Reads a tagged frame's head; false if it surely is none of ours. */
static __always_inline int vlan_parse(struct xdp_md *ctx, struct vlan_head *h)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__be16 type;

	if (data + VLAN_ADDRESSES + 2 * VLAN_TAG + 2 > end)
		return 0;
	h->addresses = read_u64(data);
	h->addresses2 = read_u32(data + 8);
	h->tag[0].proto = read_u16(data + 12);
	h->tag[0].tci = read_u16(data + 14);
	h->tag[1].proto = h->tag[1].tci = 0;
	type = read_u16(data + 16);
	if (!packet_is_tag(type))
		return vlan_has_role(data + sizeof(struct ethhdr) + VLAN_TAG, end, type) &&
		       vlan_is_ours(ctx->ingress_ifindex, h);
	h->tag[1].proto = type;
	h->tag[1].tci = read_u16(data + 18);
	type = read_u16(data + 20);
	return vlan_has_role(data + sizeof(struct ethhdr) + 2 * VLAN_TAG, end, type) &&
	       vlan_is_ours(ctx->ingress_ifindex, h);
}

/* By DEVICE (tp_hop.device): is that the interface the packet came in by? */
static __always_inline int vlan_leaves_where_it_came(struct xdp_md *ctx, __u32 device)
{
	__u32 ingress = ctx->ingress_ifindex;
	const struct tp_device *own = bpf_map_lookup_elem(&device_of, &ingress);

	return own && own->index == (device & ~TP_HOP_FLAGS);
}

/* By a VLAN device: tagged, by the interface under it. There is room: transmit_mind() has seen it.
 */
static __noinline int vlan_leave(struct xdp_md *ctx, __u32 ifindex, __u32 device)
{
	const struct tp_vlan *vlan = bpf_map_lookup_elem(&vlan_of, &ifindex);
	void *frame = context_data(ctx);
	struct vlan_head head;

	if (!vlan || frame + VLAN_ADDRESSES > context_end(ctx))
		return XDP_DROP;
	head.addresses = read_u64(frame);
	head.addresses2 = read_u32(frame + 8);
	head.tag[0] = vlan->tag[0];
	head.tag[1] = vlan->tag[1];
	if (vlan_push(ctx, &head))
		return XDP_DROP;
	if (!(device & TP_HOP_REDIRECT) && vlan_leaves_where_it_came(ctx, device))
		return XDP_TX;
	return bpf_redirect_map(&devices, device & ~TP_HOP_FLAGS, XDP_DROP);
}

#endif
