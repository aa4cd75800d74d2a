/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From headers that are put together to a packet that leaves, at TC.
 *
 * Four bytes come or go. Mostly the headers move and the payload stays. But a
 * checksum that is still to be finished (CHECKSUM_PARTIAL) is begun at a fixed
 * place in memory, the UDP header, which no helper can tell the kernel to look
 * for elsewhere: then the headers' end stays, and the payload moves.
 */
#ifndef TURNPIKE_BPF_TRANSMIT_TC_H
#define TURNPIKE_BPF_TRANSMIT_TC_H

#define TC_CHUNK 512

/* What a packet has to become, but for its headers' words. */
struct tc_reshape {
	int grow; /* bytes that come behind the UDP header: 4, -4, 0 */
	int in_v6, out_v6;
	__u32 length; /* of the frame at last */
	__u32 payload;
};

/* Too much for the stack. */
struct tc_scratch {
	struct tc_reshape to;
	__u8 headers[76]; /* as they will be; in words */
	__u8 chunk[TC_CHUNK];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tc_scratch);
} scratch SEC(".maps");

/* Moves PART bytes from AT by so many; 0: done. */
static __always_inline int tc_move(struct __sk_buff *skb, __u32 at, int by, __u32 part)
{
	struct tc_scratch *s = bpf_map_lookup_elem(&scratch, &zero_key);
	__u32 more = part - 1; /* Linux 6.1 doesn't conclude from a comparison that it isn't 0 */

	if (!s || !part)
		return -1;
	barrier_var(more);
	more &= TC_CHUNK - 1;
	return bpf_skb_load_bytes(skb, at, s->chunk, more + 1) ||
	       bpf_skb_store_bytes(skb, at + by, s->chunk, more + 1, 0);
}

static __always_inline __u32 tc_part(__u32 left)
{
	return left < TC_CHUNK ? left : TC_CHUNK;
}

#define TC_PARTS (REWRITE_LARGEST / TC_CHUNK + 1)

/* LEFT bytes at AT, to where the channel header is before them. Not static: verified once. */
__noinline int tc_move_down(struct __sk_buff *skb, __u32 at, __u32 left)
{
	for (int i = 0; left && i < TC_PARTS; i++) {
		if (tc_move(skb, at, -PACKET_CHANNEL, tc_part(left)))
			return -1;
		at += tc_part(left);
		left -= tc_part(left);
	}
	return left;
}

/* LEFT bytes at AT, to make room for a channel header; the last first. */
__noinline int tc_move_up(struct __sk_buff *skb, __u32 at, __u32 left)
{
	__u32 part;

	for (int i = 0; left && i < TC_PARTS; i++) {
		part = tc_part(left);
		left -= part;
		if (tc_move(skb, at + left, PACKET_CHANNEL, part))
			return -1;
	}
	return left;
}

enum { TC_DONE, TC_UNTOUCHED, TC_BROKEN };

static __always_inline int tc_family(struct __sk_buff *skb, const struct tc_reshape *to)
{
	if (to->in_v6 == to->out_v6)
		return 0;
	return bpf_skb_change_proto(skb, bpf_htons(to->out_v6 ? ETH_P_IPV6 : ETH_P_IP), 0);
}

/* The headers' end stays where it is. Not static, as the next: verified once. */
__noinline int tc_reshape_begun(struct __sk_buff *skb)
{
	const struct tc_scratch *s = bpf_map_lookup_elem(&scratch, &zero_key);
	const struct tc_reshape *to;
	__u32 payload;

	if (!s)
		return TC_UNTOUCHED;
	to = &s->to;
	payload = packet_headers(to->out_v6);
	/* Once it is all in one piece of our own, nothing below can fail. */
	if (bpf_skb_pull_data(skb, skb->len) || tc_family(skb, to))
		return TC_UNTOUCHED;
	if (to->grow > 0 &&
	    (bpf_skb_change_tail(skb, to->length, 0) || tc_move_up(skb, payload, to->payload)))
		return TC_BROKEN;
	if (to->grow < 0 && tc_move_down(skb, payload + PACKET_CHANNEL, to->payload))
		return TC_BROKEN;
	if (skb->len != to->length && bpf_skb_change_tail(skb, to->length, 0))
		return TC_BROKEN;
	return TC_DONE;
}

#define TC_ROOM_FLAGS BPF_F_ADJ_ROOM_NO_CSUM_RESET

/* The payload stays where it is. What may fail for want of memory comes first. */
__noinline int tc_reshape(struct __sk_buff *skb)
{
	const struct tc_scratch *s = bpf_map_lookup_elem(&scratch, &zero_key);
	const struct tc_reshape *to;
	int same;

	if (!s)
		return TC_UNTOUCHED;
	to = &s->to;
	same = to->in_v6 == to->out_v6;
	if (to->grow > 0 && bpf_skb_adjust_room(skb, to->grow, BPF_ADJ_ROOM_MAC, TC_ROOM_FLAGS))
		return TC_UNTOUCHED;
	if (tc_family(skb, to)) {
		if (to->grow <= 0)
			return TC_UNTOUCHED;
		return bpf_skb_adjust_room(skb, -to->grow, BPF_ADJ_ROOM_MAC, TC_ROOM_FLAGS)
			       ? TC_BROKEN
			       : TC_UNTOUCHED;
	}
	if (to->grow < 0 && bpf_skb_adjust_room(skb, to->grow, BPF_ADJ_ROOM_MAC, TC_ROOM_FLAGS))
		return same ? TC_UNTOUCHED : TC_BROKEN;
	if (skb->len != to->length && bpf_skb_change_tail(skb, to->length, 0))
		return TC_BROKEN;
	return TC_DONE;
}

static __always_inline int transmit_mind(struct __sk_buff *skb, __u32 ifindex, __u32 device,
					 int strip)
{
	(void)skb, (void)ifindex, (void)device, (void)strip;
	return 0; /* whatever the device, the kernel sends there */
}

/* The headers as they were put together, over what is there. */
static __always_inline int tc_store(struct __sk_buff *skb, const __u8 *bytes, __u32 length,
				    int begun)
{
	return bpf_skb_store_bytes(skb, 0, bytes, sizeof(struct ethhdr), BPF_F_INVALIDATE_HASH) ||
	       bpf_skb_store_bytes(skb, sizeof(struct ethhdr), bytes + sizeof(struct ethhdr),
				   length - sizeof(struct ethhdr),
				   begun ? 0 : BPF_F_RECOMPUTE_CSUM);
}

/* Decides all, then reshapes, which may fail and change nothing, then writes. */
static __always_inline int transmit(struct __sk_buff *skb, const struct relay *first,
				    struct relay *r, struct shape shape, const struct tp_binding *b,
				    __u32 ip_delta, enum packet_checksum told)
{
	__u32 length =
		packet_headers(shape.out_v6) + (shape.direction == TP_DOWN ? PACKET_CHANNEL : 0);
	struct tc_scratch *s = bpf_map_lookup_elem(&scratch, &zero_key);
	void *frame = context_data(skb);
	int begun = told == PACKET_BEGUN, reshaped;
	struct rewrite_headers headers;

	if (!s || frame + packet_headers(shape.in_v6) > context_end(skb))
		return pass(TP_PASSED_LENGTH);
	transmit_headers(frame + sizeof(struct ethhdr), shape, first, r, b, ip_delta, &headers);
	if (!transmit_confirmed(first, r))
		return pass(TP_PASSED_NO_BINDING);
	rewrite_write(s->headers, shape, &headers);
	s->to = (struct tc_reshape){
		.grow = first			   ? 0
			: shape.direction == TP_UP ? -PACKET_CHANNEL
						   : PACKET_CHANNEL,
		.in_v6 = shape.in_v6,
		.out_v6 = shape.out_v6,
		.length = sizeof(struct ethhdr) + r->rewrite.total,
		.payload = r->rewrite.payload,
	};
	reshaped = begun ? tc_reshape_begun(skb) : tc_reshape(skb);
	if (reshaped == TC_UNTOUCHED)
		return pass(TP_PASSED_HEADROOM);
	if (reshaped == TC_BROKEN || tc_store(skb, s->headers, length, begun))
		return VERDICT_DROP;
	transmit_count(first, r, shape);
	return bpf_redirect(r->ifindex, 0);
}

#endif
