/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a frame says: Ethernet, IPv4 or IPv6 without options, UDP, ChannelData
 * (RFC 8656, 12.4). Reads only; compiles for BPF and for the host.
 */
#ifndef TURNPIKE_BPF_PACKET_H
#define TURNPIKE_BPF_PACKET_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include "bpf/checksum.h"

#define PACKET_FRAGMENT 0x3fff /* more fragments, or an offset */
#define PACKET_DF	0x4000
#define PACKET_UDP	17
#define PACKET_CHANNEL	4 /* bytes of a ChannelData header */

enum packet_kind {
	PACKET_FOREIGN, /* not UDP over IP, or too short to say */
	PACKET_FRAGMENTED,
	PACKET_OPTIONS, /* or IPv6 extension headers */
	PACKET_DATAGRAM,
	PACKET_V6,     /* not looked at yet: packet_parse6() does */
	PACKET_TAGGED, /* VLAN tags come first */
};

struct packet {
	struct ethhdr *eth;
	union {
		struct iphdr *ip;
		struct ipv6hdr *ip6;
	};
	struct udphdr *udp;
	/* Host order, set by packet_lengths(): */
	__u32 total; /* the IP packet's length */
	__u32 room;  /* bytes from the IP header to the frame's end */
};

static __always_inline __u32 packet_ip_header(int v6)
{
	return v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

/* Bytes from the frame's begin to the payload of UDP. */
static __always_inline __u32 packet_headers(int v6)
{
	return sizeof(struct ethhdr) + packet_ip_header(v6) + sizeof(struct udphdr);
}

/* RFC 8656: 0x4000 to 0x7fff, which STUN's two zero bits can never be. */
static __always_inline int packet_is_channel(__be16 channel)
{
	return (channel & bpf_htons(0xc000)) == bpf_htons(0x4000);
}

/* IEEE 802.1Q and 802.1ad: is it a VLAN tag that begins with this? */
static __always_inline int packet_is_tag(__be16 type)
{
	return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

static __always_inline enum packet_kind packet_parse(void *data, void *end, struct packet *p)
{
	__be16 type;

	p->eth = data;
	p->ip = (void *)(p->eth + 1);
	if ((void *)(p->ip + 1) > end)
		return PACKET_FOREIGN;
	type = *(__be16 *)(data + 12);
	if (unlikely(type == bpf_htons(ETH_P_IPV6)))
		return PACKET_V6;
	if (type != bpf_htons(ETH_P_IP))
		return packet_is_tag(type) ? PACKET_TAGGED : PACKET_FOREIGN;
	if (p->ip->version != 4 || p->ip->protocol != PACKET_UDP)
		return PACKET_FOREIGN;
	if (p->ip->frag_off & bpf_htons(PACKET_FRAGMENT))
		return PACKET_FRAGMENTED;
	if (p->ip->ihl != 5)
		return PACKET_OPTIONS;
	p->udp = (void *)(p->ip + 1);
	if ((void *)(p->udp + 1) > end)
		return PACKET_FOREIGN;
	return PACKET_DATAGRAM;
}

/* RFC 8200: what follows the fixed header; anything but UDP is the server's. */
static __always_inline enum packet_kind packet_parse6(void *data, void *end, struct packet *p)
{
	p->eth = data;
	p->ip6 = (void *)(p->eth + 1);
	p->udp = (void *)(p->ip6 + 1);
	if ((void *)(p->udp + 1) > end || p->ip6->version != 6)
		return PACKET_FOREIGN;
	switch (p->ip6->nexthdr) {
	case PACKET_UDP:
		return PACKET_DATAGRAM;
	case 44:
		return PACKET_FRAGMENTED;
	case 0:	 /* hop-by-hop options */
	case 43: /* routing */
	case 51: /* authentication */
	case 60: /* destination options; all begin with what comes next */
		return *(__u8 *)p->udp == PACKET_UDP ? PACKET_OPTIONS : PACKET_FOREIGN;
	}
	return PACKET_FOREIGN;
}

/*
 * The lengths agree: the UDP datagram fills the IP packet, which lies in the
 * frame of LENGTH bytes (behind it there may be Ethernet padding).
 */
static __always_inline int packet_lengths(struct packet *p, __u64 length, int v6)
{
	__u64 room = length - sizeof(struct ethhdr);

	barrier_var(room); /* else sums are made of the pointers, by halves */
	p->room = room;
	p->total = v6 ? bpf_ntohs(p->ip6->payload_len) + sizeof(struct ipv6hdr)
		      : bpf_ntohs(p->ip->tot_len);
	return p->total <= p->room && p->total >= packet_ip_header(v6) + sizeof(struct udphdr) &&
	       p->total == bpf_ntohs(p->udp->len) + packet_ip_header(v6);
}

static __always_inline __u8 packet_ttl(const struct packet *p, int v6)
{
	return v6 ? p->ip6->hop_limit : p->ip->ttl;
}

/* IPv4's TOS, IPv6's traffic class. */
static __always_inline __u8 packet_tos(const struct packet *p, int v6)
{
	return v6 ? bpf_ntohs(read_u16(p->ip6)) >> 4 : p->ip->tos;
}

/* IPv4's header without options sums to all ones (RFC 1071). */
static __always_inline int packet_ip_check_right(const struct packet *p)
{
	const void *ip = p->ip;
	__u32 sum = 0;

	for (int i = 0; i < 20; i += 4)
		sum += csum_u32(read_u32(ip + i));
	return csum_fold(sum) == 0xffff;
}

/*
 * What is known of a datagram's checksum beside its bytes. One that is begun
 * stops at the pseudo header, which is what a local sender's kernel leaves for
 * its network card (CHECKSUM_PARTIAL); one of 65,536 that are whole looks so too.
 */
enum packet_checksum { PACKET_UNTOLD, PACKET_WHOLE, PACKET_BEGUN };

/*
 * May the datagram's checksum be brought up to date? Not if there is none (0),
 * nor if it may be one that is only begun. PSEUDO is the folded sum of the pseudo
 * header without the length, as it lies.
 */
static __always_inline int packet_checksum_usable(const struct packet *p, __u16 pseudo,
						  enum packet_checksum told)
{
	int looks_begun = p->udp->check == csum_fold_once(pseudo + p->udp->len);

	if (told == PACKET_BEGUN)
		return looks_begun;
	return p->udp->check && (told == PACKET_WHOLE || !looks_begun);
}

#endif
