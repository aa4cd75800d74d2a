/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * STUN messages (RFC 8489) and what TURN adds (RFC 8656), as far as snooping
 * needs them: reads only, allocates nothing, and takes every length for a lie.
 * Compiles for BPF, where a message lies in a socket buffer, and for the host.
 *
 * A message that servers may read in more than one way (an attribute repeated,
 * or of a wrong length, or behind the integrity check) is `odd`: whoever learns
 * from packets must not guess.
 */
#ifndef TURNPIKE_BPF_STUN_H
#define TURNPIKE_BPF_STUN_H

#include "bpf/compiler.h"

#define STUN_HEADER	20U
#define STUN_COOKIE	0x2112a442 /* RFC 8489, 5 */
#define STUN_ATTRIBUTES 32	   /* looked at; a message with more is odd */
#define STUN_PEERS	4	   /* XOR-PEER-ADDRESSes of one CreatePermission; more are odd */
#define STUN_LONGEST	65527	   /* what one UDP datagram holds */

/* Method and class together, as the first 16 bits have them. */
enum stun_type {
	STUN_CLASS = 0x0110,
	STUN_REQUEST = 0x0000,
	STUN_SUCCESS = 0x0100,
	STUN_ERROR = 0x0110,
	STUN_ALLOCATE = 0x0003,
	STUN_REFRESH = 0x0004,
	STUN_CREATE_PERMISSION = 0x0008,
	STUN_CHANNEL_BIND = 0x0009,
};

/* What a message has; bits of stun.seen. */
enum stun_seen {
	STUN_SEEN_CHANNEL = 1 << 0,
	STUN_SEEN_LIFETIME = 1 << 1,
	STUN_SEEN_PEER = 1 << 2,
	STUN_SEEN_RELAYED_V4 = 1 << 3,
	STUN_SEEN_RELAYED_V6 = 1 << 4,
	STUN_SEEN_FAMILY = 1 << 5,
	STUN_SEEN_TRANSPORT = 1 << 6,
	STUN_SEEN_USER = 1 << 7,
	STUN_SEEN_REALM = 1 << 8,
	STUN_SEEN_INTEGRITY = 1 << 9,
	STUN_SEEN_MOBILITY = 1 << 10,  /* RFC 8016's MOBILITY-TICKET */
	STUN_SEEN_BANDWIDTH = 1 << 11, /* coturn's NEW-BANDWIDTH */
};

/* Network byte order; an IPv4 address in the first four bytes, the rest zero. */
struct stun_address {
	__u64 address[2];
	__be16 port;
	__u16 family; /* AF_INET, AF_INET6 */
	__u32 zero;
};

struct stun_span {
	__u32 at; /* from the message's begin */
	__u32 length;
};

struct stun {
	__u16 type;
	__u8 odd;
	__u8 peers;
	__u32 seen;
	__u32 transaction[3]; /* as it lies */
	__u32 lifetime;	      /* seconds */
	__be16 channel;
	__u8 family;	/* REQUESTED-ADDRESS-FAMILY: 1 IPv4, 2 IPv6 */
	__u8 transport; /* REQUESTED-TRANSPORT: an IP protocol's number */
	__u32 zero;
	struct stun_span user, realm;
	struct stun_address peer[STUN_PEERS];
	struct stun_address relayed[2]; /* by family: IPv4, IPv6 */
};

struct stun_header {
	__be16 type;
	__be16 length; /* of what follows the header */
	__be32 cookie;
	__u32 transaction[3];
};

_Static_assert(sizeof(struct stun_address) == 24, "stun_address layout");
_Static_assert(sizeof(struct stun_header) == STUN_HEADER, "stun_header layout");

/* Where a message is. Its first byte is at `at`, and it has `size` bytes. */
#ifdef __BPF__
struct stun_source {
	struct __sk_buff *skb;
	__u32 at; /* from the IP header's begin */
	__u32 size;
};

static __always_inline int stun_load(const struct stun_source *s, __u32 at, void *to, __u32 length)
{
	return bpf_skb_load_bytes(s->skb, s->at + at, to, length);
}
#else
struct stun_source {
	const __u8 *at;
	__u32 size;
};

static __always_inline int stun_load(const struct stun_source *s, __u32 at, void *to, __u32 length)
{
	if (at > s->size || length > s->size - at)
		return -1;
	__builtin_memcpy(to, s->at + at, length);
	return 0;
}
#endif

/* An attribute's value as words; what interests us has 4, 8 or 20 bytes. */
struct stun_value {
	__be32 word[5];
};

static __always_inline __be16 stun_first_half(__be32 word)
{
	return word & 0xffff; /* turnpike is for little-endian machines */
}

/* RFC 8489, 14.2: family, port and address, masked by cookie and transaction. False: malformed. */
static __always_inline int stun_xor_address(const struct stun_value *v, __u32 length,
					    const __u32 *transaction, struct stun_address *ret)
{
	__u8 family = v->word[0] >> 8;
	__be32 cookie = bpf_htonl(STUN_COOKIE);
	__be32 *word = (__be32 *)ret->address;

	ret->port = (v->word[0] >> 16) ^ stun_first_half(cookie);
	ret->zero = 0;
	word[0] = v->word[1] ^ cookie;
	word[1] = word[2] = word[3] = 0;
	if (family == 1 && length == 8) {
		ret->family = AF_INET;
		return 1;
	}
	if (family != 2 || length != 20)
		return 0;
	ret->family = AF_INET6;
	word[1] = v->word[2] ^ transaction[0];
	word[2] = v->word[3] ^ transaction[1];
	word[3] = v->word[4] ^ transaction[2];
	return 1;
}

/* Notes that the message has it; the second time it is odd. */
static __always_inline void stun_see(struct stun *m, __u32 bit)
{
	if (m->seen & (bit | STUN_SEEN_INTEGRITY))
		m->odd = 1;
	m->seen |= bit;
}

static __always_inline void stun_peer(struct stun *m, const struct stun_value *v, __u32 length)
{
	__u32 i = m->peers;

	if (m->seen & STUN_SEEN_INTEGRITY || i >= STUN_PEERS ||
	    !stun_xor_address(v, length, m->transaction, &m->peer[i & (STUN_PEERS - 1)])) {
		m->odd = 1;
		return;
	}
	m->seen |= STUN_SEEN_PEER;
	m->peers = i + 1;
}

static __always_inline void stun_relayed(struct stun *m, const struct stun_value *v, __u32 length)
{
	int v6 = length == 20;

	stun_see(m, v6 ? STUN_SEEN_RELAYED_V6 : STUN_SEEN_RELAYED_V4);
	if (!stun_xor_address(v, length, m->transaction, &m->relayed[v6]))
		m->odd = 1;
}

/* An attribute whose value is one word. */
static __always_inline void stun_word(struct stun *m, __u16 type, __be32 word)
{
	switch (type) {
	case 0x000c:
		stun_see(m, STUN_SEEN_CHANNEL);
		m->channel = stun_first_half(word);
		break;
	case 0x000d:
		stun_see(m, STUN_SEEN_LIFETIME);
		m->lifetime = bpf_ntohl(word);
		break;
	case 0x0017:
		stun_see(m, STUN_SEEN_FAMILY);
		m->family = word;
		break;
	case 0x0019:
		stun_see(m, STUN_SEEN_TRANSPORT);
		m->transport = word;
		break;
	}
}

static __always_inline void stun_text(struct stun *m, __u32 bit, struct stun_span *span, __u32 at,
				      __u32 length)
{
	stun_see(m, bit);
	span->at = at;
	span->length = length;
}

/* Takes one attribute's value, LENGTH bytes at AT. False: it can't be read. */
static __always_inline int stun_attribute(const struct stun_source *s, struct stun *m, __u16 type,
					  __u32 at, __u32 length)
{
	struct stun_value v = {};

	switch (type) {
	case 0x0006:
		stun_text(m, STUN_SEEN_USER, &m->user, at, length);
		return 1;
	case 0x0014:
		stun_text(m, STUN_SEEN_REALM, &m->realm, at, length);
		return 1;
	case 0x0008: /* MESSAGE-INTEGRITY */
	case 0x001c: /* MESSAGE-INTEGRITY-SHA256; may follow the former */
		m->seen |= STUN_SEEN_INTEGRITY;
		return 1;
	case 0x8030:
		m->seen |= STUN_SEEN_MOBILITY;
		return 1;
	case 0x8010:
		m->seen |= STUN_SEEN_BANDWIDTH;
		return 1;
	case 0x000c:
	case 0x000d:
	case 0x0017:
	case 0x0019:
		if (length != 4)
			m->odd = 1;
		else if (stun_load(s, at, &v, 4))
			return 0;
		else
			stun_word(m, type, v.word[0]);
		return 1;
	case 0x0012:
	case 0x0016:
		if (length == 8 ? stun_load(s, at, &v, 8)
				: length == 20 && stun_load(s, at, &v, 20))
			return 0;
		if (type == 0x0012)
			stun_peer(m, &v, length);
		else
			stun_relayed(m, &v, length);
		return 1;
	}
	return 1;
}

/* Does it begin as STUN with the cookie does? Channel data and RTP never do. */
static __always_inline int stun_is_header(const struct stun_header *h)
{
	return !(h->type & bpf_htons(0xc000)) && h->cookie == bpf_htonl(STUN_COOKIE);
}

/* Reads the message; false: it is none, or its lengths don't agree. */
static __always_inline int stun_parse(const struct stun_source *s, struct stun *m)
{
	__u32 at = STUN_HEADER, size = s->size;
	struct stun_header h;

	__builtin_memset(m, 0, sizeof(*m));
	if (size < STUN_HEADER || size > STUN_LONGEST || size & 3 || stun_load(s, 0, &h, sizeof(h)))
		return 0;
	if (!stun_is_header(&h) || bpf_ntohs(h.length) + STUN_HEADER != size)
		return 0;
	m->type = bpf_ntohs(h.type);
	m->transaction[0] = h.transaction[0];
	m->transaction[1] = h.transaction[1];
	m->transaction[2] = h.transaction[2];
	for (int i = 0; i < STUN_ATTRIBUTES && at != size; i++) {
		__be16 head[2];
		__u32 length;

		if (size - at < sizeof(head) || stun_load(s, at, head, sizeof(head)))
			return 0;
		at += sizeof(head);
		length = bpf_ntohs(head[1]);
		if (length > size - at || !stun_attribute(s, m, bpf_ntohs(head[0]), at, length))
			return 0;
		at += (length + 3) & ~3U;
	}
	if (at != size)
		m->odd = 1;
	return 1;
}

#endif
