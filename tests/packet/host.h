/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fast path's decisions on the host: the very headers that the kernel's
 * program is made of, around one binding. What differs is what surrounds them:
 * maps, the frame's room, the next hop, which are given here.
 */
#ifndef TURNPIKE_TESTS_HOST_H
#define TURNPIKE_TESTS_HOST_H

#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include "tests/packet/frame.h"

#define HOST_HEADROOM 66 /* and so that IP headers are aligned, as drivers do it */

struct host_frame {
	_Alignas(8) uint8_t room[HOST_HEADROOM + 4096];
	uint8_t *data, *end;
};

/* Copies a frame in; false if it is too large. */
static inline int host_load(struct host_frame *frame, const void *bytes, size_t length)
{
	if (length > sizeof(frame->room) - HOST_HEADROOM)
		return 0;
	frame->data = frame->room + HOST_HEADROOM;
	frame->end = frame->data + length;
	memcpy(frame->data, bytes, length);
	return 1;
}

static inline int host_is_flow(const struct frame_bound *b, const struct packet *p, int direction,
			       __be16 channel, int v6)
{
	struct tp_flow flow;
	__u64 word[4];

	if (v6) {
		memcpy(word, &p->ip6->saddr, sizeof(word));
		flow = binding_flow6(word, word + 2, read_u32(&p->udp->source), channel);
		if (!binding_is_from(&b->binding, direction, word, word + 2))
			return 0;
	} else {
		flow = binding_flow4(read_u64(&p->ip->saddr), read_u32(&p->udp->source), channel);
	}
	return leg_is_for(&b->leg[direction], direction, &flow);
}

static inline int host_transmit(struct host_frame *frame, const struct frame_bound *b,
				const struct packet *p, struct shape shape)
{
	const struct tp_leg *leg = &b->leg[shape.direction];
	const struct tp_hop *hop = &b->hop[shape.direction];
	struct binding_sums sums = rewrite_sums(shape, leg, &b->binding);
	struct rewrite_headers h = {};
	struct rewrite r;

	if (rewrite_prepare(p, frame->end, shape, &sums, PACKET_UNTOLD, &r) || r.total > hop->mtu)
		return XDP_PASS;
	rewrite_common(shape, leg, hop, &r, &h);
	if (shape.out_v6)
		rewrite_to_6(shape, &b->binding, &r, &h);
	else if (shape.in_v6)
		rewrite_to_4(shape, leg, sums.ip, &r, 0, &h);
	else
		rewrite_4_to_4(p->ip, shape, leg, sums.ip, &r, &h);
	frame->data += rewrite_strip(shape);
	rewrite_write(frame->data, shape, &h);
	frame->end -= r.trim;
	return XDP_TX;
}

/* The verdict for one binding, whose listener and relay ports are the only ones with a role. */
static inline int host_run(struct host_frame *frame, const struct frame_bound *b)
{
	struct packet p;
	enum packet_kind kind = packet_parse(frame->data, frame->end, &p);
	int v6 = kind == PACKET_V6, listener, relay, direction;
	const __be16 *header;
	__be16 channel = 0;

	if (v6)
		kind = packet_parse6(frame->data, frame->end, &p);
	if (kind != PACKET_DATAGRAM)
		return XDP_PASS;
	listener = p.udp->dest == b->binding.port[TP_SERVER];
	relay = p.udp->dest == b->binding.port[TP_RELAY];
	if ((!listener && !relay) || !packet_lengths(&p, frame->end - frame->data, v6))
		return XDP_PASS;
	header = (const void *)(p.udp + 1);
	if (listener && (void *)(header + 2) <= (void *)frame->end && packet_is_channel(header[0]))
		channel = header[0];
	else if (!relay)
		return XDP_PASS;
	direction = channel ? TP_UP : TP_DOWN;
	if (!host_is_flow(b, &p, direction, channel, v6))
		return XDP_PASS;
	return host_transmit(frame, b, &p,
			     (struct shape){direction, v6, leg_out_v6(&b->leg[direction])});
}

#endif
