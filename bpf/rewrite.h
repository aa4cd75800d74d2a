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

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "headers are put together in little-endian words"
#endif

#define REWRITE_TTL 64 /* coturn: a constant to clients, the most to peers */

/* Known when the program is compiled: every path of it is for one of these. */
struct shape {
	int direction;
	int in_v6, out_v6;
};

/* What is decided of a packet before its frame is touched. */
struct rewrite {
	__u32 total;	 /* new length of the IP packet */
	__u32 payload;	 /* bytes that are relayed */
	__u32 trim;	 /* bytes behind them: padding of ChannelData, then of Ethernet */
	__u16 udp_check; /* as it will lie in the header */
	__u8 ttl, tos;	 /* as they came */
};

/* The new headers, in words as they are written. */
struct rewrite_headers {
	__u64 ethernet;	 /* destination, and the source's first bytes */
	__u64 ethernet2; /* the source's last, type; the IP header's first two bytes */
	__u64 middle; /* IPv4: from the total length to the protocol; IPv6: up to the hop limit */
	__u64 addresses[4];
	__u32 ports;
	__u32 udp;     /* length and checksum */
	__u32 channel; /* number and length, downstream */
	__u16 ip_check;
};

/* By what the checksums change; B is needed for IPv6 only. */
static __always_inline struct binding_sums
rewrite_sums(struct shape shape, const struct tp_leg *leg, const struct tp_binding *b)
{
	__u64 in = leg->in.addresses, out = leg->addresses;

	if (shape.in_v6 || shape.out_v6) {
		const struct tp_terms *terms = &b->terms[shape.direction];

		return (struct binding_sums){terms->pseudo, terms->udp, terms->ip};
	}
	return binding_sums(shape.direction, csum_u32(in) + csum_u32(in >> 32), leg->in.ports,
			    csum_u32(out) + csum_u32(out >> 32), leg->ports, leg_channel(leg));
}

/*
 * Takes the padding behind the payload out of a checksum: up to three bytes,
 * the first at an odd place of its 16-bit word if the payload's length is odd.
 * Bytes behind END count as nothing; rewrite_up() has seen that there are none.
 */
static __always_inline __u32 rewrite_padding(const __u8 *payload, __u32 length, void *end,
					     __u32 count)
{
	__u32 sum = bpf_ntohs(2 * count); /* the length twice, less by that */
	__u32 odd = length & 1;
	const __u8 *behind;

	/* Never more, but Linux 6.1's verifier has to see it here. */
	barrier_var(length);
	behind = payload + (length & 0x3fff);
	for (__u32 i = 0; i < 3; i++)
		if (i < count && (void *)(behind + i + 1) <= end)
			sum += bpf_htons((i ^ odd) & 1 ? behind[i] : behind[i] << 8);
	return csum_not(csum_fold(sum));
}

/* Well within the server's buffer (coturn: UDP_STUN_BUFFER_SIZE), which cuts what is longer. */
#define REWRITE_LARGEST (16384 - 64)

/* Upstream: strip the channel header and up to three bytes of padding. */
static __always_inline int rewrite_up(const struct packet *p, void *end, struct shape shape,
				      __u32 delta, struct rewrite *r)
{
	const __be16 *header = (const void *)(p->udp + 1);
	__u32 payload, padding, sum;

	if ((void *)(header + 2) > end)
		return TP_PASSED_LENGTH;
	payload = bpf_ntohs(header[1]);
	if (payload > REWRITE_LARGEST)
		return TP_PASSED_LENGTH;
	padding = p->total - packet_ip_header(shape.in_v6) - sizeof(struct udphdr) -
		  PACKET_CHANNEL - payload;
	if (padding > 3 || (padding && !payload))
		return TP_PASSED_LENGTH;
	if (padding && (void *)(header + 2) + payload + padding > end) /* not to be read here */
		return TP_PASSED_LENGTH;
	sum = csum_not(p->udp->check) + delta + csum_not(header[1]);
	if (padding)
		sum += rewrite_padding((const __u8 *)(header + 2), payload, end, padding);
	r->udp_check = csum_udp(sum);
	r->payload = payload;
	r->total = packet_ip_header(shape.out_v6) + sizeof(struct udphdr) + payload;
	r->trim = p->room - p->total + padding;
	return 0;
}

/* Downstream: put a channel header before the payload; no padding over UDP. */
static __always_inline int rewrite_down(const struct packet *p, struct shape shape, __u32 delta,
					struct rewrite *r)
{
	r->payload = p->total - packet_ip_header(shape.in_v6) - sizeof(struct udphdr);
	if (r->payload > REWRITE_LARGEST)
		return TP_PASSED_LENGTH;
	r->udp_check = csum_udp(csum_not(p->udp->check) + delta + bpf_htons(r->payload));
	r->total = packet_ip_header(shape.out_v6) + sizeof(struct udphdr) + PACKET_CHANNEL +
		   r->payload;
	r->trim = p->room - p->total;
	return 0;
}

/*
 * All that is decided from packet and binding alone: 0, or the reason (enum
 * tp_counter) why the server has to do it.
 */
static __always_inline int rewrite_prepare(const struct packet *p, void *end, struct shape shape,
					   const struct binding_sums *sums,
					   enum packet_checksum told, struct rewrite *r)
{
	r->ttl = packet_ttl(p, shape.in_v6);
	r->tos = packet_tos(p, shape.in_v6);
	if (r->ttl <= 1)
		return TP_PASSED_TTL;
	if (!packet_checksum_usable(p, csum_fold(sums->pseudo), told))
		return TP_PASSED_CHECKSUM;
	return shape.direction == TP_UP ? rewrite_up(p, end, shape, sums->udp, r)
					: rewrite_down(p, shape, sums->udp, r);
}

/* What a checksum that is only begun is to be: R->total is known. B is needed for IPv6 only. */
static __always_inline __u16 rewrite_begun(struct shape shape, const struct tp_leg *leg,
					   const struct tp_binding *b, const struct rewrite *r)
{
	struct binding_ends e = binding_ends(shape.direction);
	__u32 sum = bpf_htons(PACKET_UDP) + bpf_htons(r->total - packet_ip_header(shape.out_v6));

	if (shape.out_v6)
		sum += binding_sum(b, e.source, e.destination);
	else
		sum += csum_u32(leg->addresses) + csum_u32(leg->addresses >> 32);
	return csum_fold(sum);
}

/* How many bytes the frame's head moves; the headers behind it are as much shorter. */
static __always_inline int rewrite_strip(struct shape shape)
{
	return (int)packet_ip_header(shape.in_v6) - (int)packet_ip_header(shape.out_v6) +
	       (shape.direction == TP_UP ? PACKET_CHANNEL : -PACKET_CHANNEL);
}

static __always_inline __u32 rewrite_ttl(struct shape shape, __u32 ttl)
{
	return shape.direction == TP_UP && ttl <= REWRITE_TTL ? ttl - 1 : REWRITE_TTL;
}

/*
 * IPv4 from IPv4, from the old header at IP. RFC 1624: a header whose checksum
 * was wrong leaves with one that is as wrong.
 */
static __always_inline void rewrite_4_to_4(const void *ip, struct shape shape,
					   const struct tp_leg *leg, __u32 delta,
					   const struct rewrite *r, struct rewrite_headers *h)
{
	__u64 middle = read_u64(ip + 2);
	__u32 ttl = middle >> 48 & 0xff, new_ttl = rewrite_ttl(shape, ttl), sum;
	__u16 total = bpf_htons(r->total);

	sum = csum_not(read_u16(ip + 10)) + delta + csum_not(middle) + total +
	      csum_not(middle >> 32) + csum_not(ttl) + new_ttl;
	h->ip_check = ~csum_fold(sum);
	h->middle = (middle & 0xffff0000) | total | (__u64)bpf_htons(PACKET_DF) << 32 |
		    (__u64)new_ttl << 48 | (__u64)PACKET_UDP << 56;
	h->ethernet2 |= 0x45ULL << 48 | (__u64) * (const __u8 *)(ip + 1) << 56;
	h->addresses[0] = leg->addresses;
}

/* IPv4 from what isn't, or isn't any more; ADDRESSES: the sum of the new ones, ID: identification.
 */
static __always_inline void rewrite_to_4(struct shape shape, const struct tp_leg *leg,
					 __u32 addresses, const struct rewrite *r, __u16 id,
					 struct rewrite_headers *h)
{
	/* The server's socket for peers lets routers fragment if its client is one of IPv6
	 * (coturn). */
	__u16 total = bpf_htons(r->total), df = shape.direction == TP_UP ? 0 : bpf_htons(PACKET_DF);
	__u32 ttl = rewrite_ttl(shape, r->ttl), sum;

	sum = (0x45 | r->tos << 8) + total + id + df + (ttl | PACKET_UDP << 8) + addresses;
	h->ip_check = ~csum_fold(sum);
	h->middle = total | (__u32)id << 16 | (__u64)df << 32 | (__u64)ttl << 48 |
		    (__u64)PACKET_UDP << 56;
	h->ethernet2 |= 0x45ULL << 48 | (__u64)r->tos << 56;
	h->addresses[0] = leg->addresses;
}

/* IPv6 from either. The flow label is 0: the server's differs from socket to socket. */
static __always_inline void rewrite_to_6(struct shape shape, const struct tp_binding *b,
					 const struct rewrite *r, struct rewrite_headers *h)
{
	struct binding_ends ends = binding_ends(shape.direction);
	__u16 length = bpf_htons(r->total - sizeof(struct ipv6hdr));

	h->ethernet2 |= (__u64)bpf_htons(0x6000 | r->tos << 4) << 48;
	h->middle = (__u32)length << 16 | (__u64)PACKET_UDP << 32 |
		    (__u64)rewrite_ttl(shape, r->ttl) << 40;
	h->addresses[0] = b->address[ends.source][0];
	h->addresses[1] = b->address[ends.source][1];
	h->addresses[2] = b->address[ends.destination][0];
	h->addresses[3] = b->address[ends.destination][1];
}

/* All but what the functions above make. */
static __always_inline void rewrite_common(struct shape shape, const struct tp_leg *leg,
					   const struct tp_hop *hop, const struct rewrite *r,
					   struct rewrite_headers *h)
{
	__u16 type = bpf_htons(shape.out_v6 ? ETH_P_IPV6 : ETH_P_IP);
	__u16 length = bpf_htons(r->total - packet_ip_header(shape.out_v6));

	h->ethernet = read_u64(hop->destination);
	h->ethernet2 = read_u32(hop->source + 2) | (__u64)type << 32;
	h->ports = leg->ports;
	h->udp = (__u32)r->udp_check << 16 | length;
	if (shape.direction == TP_DOWN)
		h->channel = (__u32)bpf_htons(r->payload) << 16 | leg_channel(leg);
}

/* Writes the new headers at FRAME: packet_headers(), downstream PACKET_CHANNEL more. */
static __always_inline void rewrite_write(void *frame, struct shape shape,
					  const struct rewrite_headers *h)
{
	void *udp = frame + sizeof(struct ethhdr) + packet_ip_header(shape.out_v6);

	write_u64(frame, h->ethernet);
	write_u64(frame + 8, h->ethernet2);
	if (shape.out_v6) {
		write_u32(frame + 16, h->middle);
		write_u16(frame + 20, h->middle >> 32);
		write_u64(frame + 22, h->addresses[0]);
		write_u64(frame + 30, h->addresses[1]);
		write_u64(frame + 38, h->addresses[2]);
		write_u64(frame + 46, h->addresses[3]);
	} else {
		write_u64(frame + 16, h->middle);
		write_u16(frame + 24, h->ip_check);
		write_u64(frame + 26, h->addresses[0]);
	}
	write_u32(udp, h->ports);
	write_u32(udp + 4, h->udp);
	if (shape.direction == TP_DOWN)
		write_u32(udp + 8, h->channel);
}

#endif
