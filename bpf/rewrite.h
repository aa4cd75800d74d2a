/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a packet and its binding to the headers that the server itself would
 * have sent. Decides everything, writes nothing into the packet; compiles for
 * BPF and for the host.
 */
#ifndef TURNPIKE_BPF_REWRITE_H
#define TURNPIKE_BPF_REWRITE_H

#include "bpf/binding.h"
#include "bpf/packet.h"
#include "bpf/seqlock.h"

#define REWRITE_TTL 64 /* coturn: a constant to clients, the most to peers */

/* The part of a binding that one packet needs, copied under the sequence lock. */
struct binding_view {
	__u32 generation;
	__u32 allocation;
	__u32 epoch;
	__u64 expires_ns;
	__be32 source, destination;
	__be16 source_port, destination_port;
	__be16 channel;
	__u16 server;
	__u16 pseudo, delta;
};

struct rewrite {
	__u16 payload;	  /* bytes that are relayed */
	__u16 trim;	  /* bytes behind them: padding of ChannelData, then of Ethernet */
	__u16 total;	  /* new length of the IP packet */
	__u16 udp_length; /* and of the datagram */
	__u16 udp_check;
	__be16 id;
	__u8 ttl;
	__u8 tos;
};

/*
 * Copies what a packet of FLOW needs from B; false if the record is being
 * written, is not the handle's any more, or is of another flow.
 */
static __always_inline int binding_read(const struct tp_binding *b, tp_handle handle,
					int direction, const struct tp_flow4 *flow,
					struct binding_view *view)
{
	int up = direction == TP_UP;
	__u32 begin = seq_begin(&b->sequence);
	struct tp_flow4 own = binding_flow4(b, direction);
	int out_source = up ? TP_RELAY : TP_SERVER, out_dest = up ? TP_PEER : TP_CLIENT;
	int same = b->client_family == AF_INET && b->peer_family == AF_INET &&
		   own.source == flow->source && own.destination == flow->destination &&
		   own.source_port == flow->source_port &&
		   own.destination_port == flow->destination_port && own.channel == flow->channel;

	view->generation = b->generation;
	view->allocation = b->allocation;
	view->epoch = b->epoch;
	view->expires_ns = b->expires_ns;
	view->source = *(const __be32 *)b->address[out_source];
	view->destination = *(const __be32 *)b->address[out_dest];
	view->source_port = b->port[out_source];
	view->destination_port = b->port[out_dest];
	view->channel = b->channel;
	view->server = b->server;
	view->pseudo = b->pseudo[direction];
	view->delta = b->delta[direction];
	return !seq_retry(&b->sequence, begin) && same && (view->generation & 1) &&
	       view->generation == handle_generation(handle);
}

/* Copies the hop; false if it is none for this binding and routing generation. */
static __always_inline int hop_read(const struct tp_hop *hop, __u32 binding, __u32 generation,
				    struct tp_hop *ret)
{
	__u32 begin = seq_begin(&hop->sequence);

	__builtin_memcpy(ret, hop, sizeof(*ret));
	return !seq_retry(&hop->sequence, begin) && ret->binding == binding &&
	       ret->generation == generation;
}

/* Gives up if somebody else is writing: what he writes is as good. */
static __always_inline void hop_write(struct tp_hop *hop, const struct tp_hop *value)
{
	if (!seq_try_lock(&hop->sequence))
		return;
	hop->generation = value->generation;
	hop->binding = value->binding;
	hop->ifindex = value->ifindex;
	hop->mtu = value->mtu;
	hop->redirect = value->redirect;
	__builtin_memcpy(hop->destination, value->destination, 6);
	__builtin_memcpy(hop->source, value->source, 6);
	seq_unlock(&hop->sequence);
}

/*
 * Takes the padding behind the payload out of a checksum: up to three bytes,
 * the first at an odd place of its 16-bit word if the payload's length is odd.
 * Bytes behind END count as nothing; rewrite_up() has seen that there are none.
 */
static __always_inline __u32 rewrite_padding(const __u8 *behind, void *end, __u32 count, __u32 odd)
{
	__u32 sum = 0;

	for (__u32 i = 0; i < 3; i++)
		if (i < count && (void *)(behind + i + 1) <= end)
			sum += (i ^ odd) & 1 ? bpf_htons(behind[i]) : bpf_htons(behind[i] << 8);
	return csum_not(csum_fold(sum));
}

/* The server's receive buffer (coturn: UDP_STUN_BUFFER_SIZE); it cuts what is longer. */
#define REWRITE_LARGEST 16384

/* Upstream: strip the channel header and up to three bytes of padding. */
static __always_inline int rewrite_up(const struct packet *p, void *end,
				      const struct binding_view *view, struct rewrite *r)
{
	const __be16 *header = (const void *)(p->udp + 1);
	__u32 carried = p->length - sizeof(struct udphdr); /* header, payload, padding */
	__u32 payload, padding, sum;

	if (carried < PACKET_CHANNEL || carried > REWRITE_LARGEST || (void *)(header + 2) > end)
		return TP_PASSED_LENGTH;
	payload = bpf_ntohs(header[1]);
	if (payload > carried - PACKET_CHANNEL)
		return TP_PASSED_LENGTH;
	padding = carried - PACKET_CHANNEL - payload;
	if (padding > 3 || (padding && !payload))
		return TP_PASSED_LENGTH;
	r->udp_length = sizeof(struct udphdr) + payload;
	sum = csum_not(p->udp->check) + view->delta + csum_not(header[1]) +
	      2 * csum_not(p->udp->len) + 2 * bpf_htons(r->udp_length);
	if (padding)
		sum += rewrite_padding((const __u8 *)(header + 2) + payload, end, padding,
				       payload & 1);
	r->udp_check = csum_udp(sum);
	r->ttl = p->ip->ttl - 1 < REWRITE_TTL ? p->ip->ttl - 1 : REWRITE_TTL;
	r->payload = payload;
	return 0;
}

/* Downstream: put a channel header before the payload; no padding over UDP. */
static __always_inline int rewrite_down(const struct packet *p, const struct binding_view *view,
					struct rewrite *r)
{
	__u32 payload = p->length - sizeof(struct udphdr);
	__u32 sum;

	if (payload > REWRITE_LARGEST - PACKET_CHANNEL)
		return TP_PASSED_LENGTH;
	r->udp_length = p->length + PACKET_CHANNEL;
	sum = csum_not(p->udp->check) + view->delta + bpf_htons(payload) +
	      2 * csum_not(p->udp->len) + 2 * bpf_htons(r->udp_length);
	r->udp_check = csum_udp(sum);
	r->ttl = REWRITE_TTL;
	r->payload = payload;
	return 0;
}

/*
 * All that is decided from packet and binding alone: 0 and the new headers'
 * values, or the reason (enum tp_counter) why the server has to do it.
 */
static __always_inline int rewrite_prepare(const struct packet *p, void *end, int direction,
					   const struct binding_view *view, struct rewrite *r)
{
	int reason;

	if (p->ip->ttl <= 1)
		return TP_PASSED_TTL;
	if (!packet_header_sound(p->ip) ||
	    !packet_checksum_usable(p->udp->check, view->pseudo, p->length))
		return TP_PASSED_CHECKSUM;
	reason = direction == TP_UP ? rewrite_up(p, end, view, r) : rewrite_down(p, view, r);
	if (reason)
		return reason;
	r->total = sizeof(struct iphdr) + r->udp_length;
	r->trim = p->room - sizeof(struct iphdr) - sizeof(struct udphdr) -
		  (direction == TP_UP ? PACKET_CHANNEL : 0) - r->payload;
	r->tos = p->ip->tos;
	r->id = p->ip->id;
	return 0;
}

/* Writes the new Ethernet, IP and UDP headers: PACKET_HEADERS bytes at ETH. */
static __always_inline void rewrite_write(struct ethhdr *eth, const struct binding_view *view,
					  const struct rewrite *r, const struct tp_hop *hop)
{
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u32 sum;

	__builtin_memcpy(eth->h_dest, hop->destination, ETH_ALEN);
	__builtin_memcpy(eth->h_source, hop->source, ETH_ALEN);
	eth->h_proto = bpf_htons(ETH_P_IP);
	*(__u8 *)ip = 0x45; /* version 4, five words */
	ip->tos = r->tos;
	ip->tot_len = bpf_htons(r->total);
	ip->id = r->id;
	ip->frag_off = bpf_htons(PACKET_DF);
	ip->ttl = r->ttl;
	ip->protocol = PACKET_UDP;
	ip->saddr = view->source;
	ip->daddr = view->destination;
	sum = bpf_htons(0x4500 | r->tos) + bpf_htons(r->total) + r->id + bpf_htons(PACKET_DF) +
	      bpf_htons(r->ttl << 8 | PACKET_UDP) + csum_u32(view->source) +
	      csum_u32(view->destination);
	ip->check = ~csum_fold(sum);
	udp->source = view->source_port;
	udp->dest = view->destination_port;
	udp->len = bpf_htons(r->udp_length);
	udp->check = r->udp_check;
}

#endif
