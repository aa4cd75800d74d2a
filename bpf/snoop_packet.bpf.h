/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A packet as its socket gets it or sends it: whole, checked by the kernel's
 * firewall, with the socket known. Data begins with the IP header.
 */
#ifndef TURNPIKE_BPF_SNOOP_PACKET_H
#define TURNPIKE_BPF_SNOOP_PACKET_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include "bpf/snoop_maps.bpf.h"

#define SNOOP_HEADERS 8 /* IPv6 extension headers that are read */

enum { SNOOP_UDP, SNOOP_OTHER, SNOOP_UNREADABLE };

static __always_inline int snoop_ipv4(struct __sk_buff *skb, struct snoop_packet *p)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return SNOOP_UNREADABLE;
	if (ip.protocol != 17)
		return SNOOP_OTHER;
	p->source.family = p->destination.family = AF_INET;
	p->source.address[0] = ip.saddr;
	p->destination.address[0] = ip.daddr;
	p->source.address[1] = p->destination.address[1] = 0;
	p->payload = ip.ihl * 4;
	return SNOOP_UDP;
}

static __always_inline int snoop_ipv6(struct __sk_buff *skb, struct snoop_packet *p)
{
	__u8 next, head[2];
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return SNOOP_UNREADABLE;
	p->source.family = p->destination.family = AF_INET6;
	__builtin_memcpy(p->source.address, &ip.saddr, 16);
	__builtin_memcpy(p->destination.address, &ip.daddr, 16);
	p->payload = sizeof(ip);
	next = ip.nexthdr;
	for (int i = 0; i < SNOOP_HEADERS; i++) {
		if (next == 17)
			return SNOOP_UDP;
		/* Hop-by-hop, routing, destination options (RFC 8200), authentication. */
		if (next != 0 && next != 43 && next != 60 && next != 51)
			break;
		if (bpf_skb_load_bytes(skb, p->payload, head, sizeof(head)))
			break;
		p->payload += next == 51 ? (head[1] + 2) * 4 : (head[1] + 1) * 8;
		next = head[0];
	}
	return next == 6 || next == 58 ? SNOOP_OTHER : SNOOP_UNREADABLE;
}

/* Reads the headers up to UDP's payload. The sizes are what the kernel delivers, not yet STUN's. */
static __noinline int snoop_read(struct __sk_buff *skb, struct snoop_packet *p)
{
	struct udphdr udp;
	int kind;

	kind = skb->protocol == bpf_htons(ETH_P_IP)	? snoop_ipv4(skb, p)
	       : skb->protocol == bpf_htons(ETH_P_IPV6) ? snoop_ipv6(skb, p)
							: SNOOP_OTHER;
	if (kind != SNOOP_UDP)
		return kind;
	if (skb->gso_size || bpf_skb_load_bytes(skb, p->payload, &udp, sizeof(udp)))
		return SNOOP_UNREADABLE;
	p->payload += sizeof(udp);
	p->source.port = udp.source;
	p->destination.port = udp.dest;
	p->size = bpf_ntohs(udp.len) - sizeof(udp);
	return SNOOP_UDP;
}

/* What a datagram to or from a listener is. */
enum { SNOOP_STRANGE, SNOOP_METHOD, SNOOP_DATA };

/* By its first bytes: may it be one of the messages that are followed, of CLASS, or channel data?
 */
static __always_inline int snoop_kind(struct __sk_buff *skb, const struct snoop_packet *p,
				      __u16 class)
{
	struct stun_header h = {};
	__u16 type;

	if (bpf_skb_load_bytes(skb, p->payload, &h, 4))
		return SNOOP_STRANGE;
	type = bpf_ntohs(h.type);
	if ((type & 0xc000) == 0x4000)
		return SNOOP_DATA;
	if (p->size < sizeof(h) || bpf_skb_load_bytes(skb, p->payload, &h, sizeof(h)) ||
	    !stun_is_header(&h) || (type & STUN_CLASS) != class)
		return SNOOP_STRANGE;
	switch (type & ~STUN_CLASS) {
	case STUN_ALLOCATE:
	case STUN_REFRESH:
	case STUN_CREATE_PERMISSION:
	case STUN_CHANNEL_BIND:
		return SNOOP_METHOD;
	}
	return SNOOP_STRANGE;
}

/* Reads the message; verified once, by itself. */
__noinline int snoop_message(struct __sk_buff *skb, __u32 at, __u32 size, struct stun *ret)
{
	struct stun_source source = {.skb = skb, .at = at, .size = size};

	return ret && stun_parse(&source, ret);
}

/* Whose allocation the packet belongs to. */
static __always_inline void snoop_client(struct snoop_scratch *s, const struct endpoint *client,
					 const struct endpoint *server)
{
	struct snoop_tuple *ret = &s->key.tuple;

	ret->client[0] = client->address[0];
	ret->client[1] = client->address[1];
	ret->server[0] = server->address[0];
	ret->server[1] = server->address[1];
	ret->client_port = client->port;
	ret->server_port = server->port;
	ret->family = client->family;
	ret->index = s->index;
}

/* By what the message that was read will be found, or was kept. */
static __always_inline void snoop_key(struct snoop_scratch *s, const struct endpoint *client,
				      const struct endpoint *server)
{
	snoop_client(s, client, server);
	s->key.transaction[0] = s->message.transaction[0];
	s->key.transaction[1] = s->message.transaction[1];
	s->key.transaction[2] = s->message.transaction[2];
	s->key.zero = 0;
}

#endif
