/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a frame says: Ethernet, IPv4 without options, UDP, ChannelData
 * (RFC 8656, 12.4). Reads only; compiles for BPF and for the host.
 */
#ifndef TURNPIKE_BPF_PACKET_H
#define TURNPIKE_BPF_PACKET_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include "bpf/checksum.h"

#define PACKET_FRAGMENT 0x3fff /* more fragments, or an offset */
#define PACKET_DF	0x4000
#define PACKET_UDP	17
#define PACKET_CHANNEL	4 /* bytes of a ChannelData header */
#define PACKET_IP_UDP	(sizeof(struct iphdr) + sizeof(struct udphdr))
#define PACKET_HEADERS	(sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))

enum packet_kind {
	PACKET_FOREIGN, /* not UDP over IPv4, or too short to say */
	PACKET_FRAGMENTED,
	PACKET_OPTIONS,
	PACKET_DATAGRAM,
};

struct packet {
	struct ethhdr *eth;
	struct iphdr *ip;
	struct udphdr *udp;
	/* Host order, set by packet_lengths(): */
	__u32 total; /* the IP packet's length */
	__u32 room;  /* bytes from the IP header to the frame's end */
};

/* RFC 8656: 0x4000 to 0x7fff, which STUN's two zero bits can never be. */
static __always_inline int packet_is_channel(__be16 channel)
{
	return (channel & bpf_htons(0xc000)) == bpf_htons(0x4000);
}

static __always_inline enum packet_kind packet_parse(void *data, void *end, struct packet *p)
{
	p->eth = data;
	p->ip = (void *)(p->eth + 1);
	if ((void *)(p->ip + 1) > end || *(__be16 *)(data + 12) != bpf_htons(ETH_P_IP) ||
	    p->ip->version != 4 || p->ip->protocol != PACKET_UDP)
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

/*
 * The lengths agree: the UDP datagram fills the IP packet, which lies in the
 * frame (behind it there may be Ethernet padding).
 */
static __always_inline int packet_lengths(struct packet *p, void *end)
{
	p->room = end - (void *)p->ip;
	p->total = bpf_ntohs(p->ip->tot_len);
	return p->total <= p->room && p->total >= PACKET_IP_UDP &&
	       p->total == bpf_ntohs(p->udp->len) + sizeof(struct iphdr);
}

/*
 * A checksum that an incremental update may start from. Not: none (0), and
 * not one that stops at the pseudo header, which is what a local sender's
 * kernel leaves for its network card (CHECKSUM_PARTIAL). PSEUDO is the folded
 * sum of that header without the length, as it lies.
 */
static __always_inline int packet_checksum_usable(const struct packet *p, __u16 pseudo)
{
	return p->udp->check && p->udp->check != csum_fold_once(pseudo + p->udp->len);
}

#endif
