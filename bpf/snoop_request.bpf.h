/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests: each is kept by its 5-tuple and transaction id until it is old. A
 * response says nothing of the request but these, and who sends requests may
 * give the same id to two of them, one of which the server refuses or never
 * reads. So an id that two different requests had proves nothing any more, and
 * every request that the server can read has to be seen here.
 */
#ifndef TURNPIKE_BPF_SNOOP_REQUEST_H
#define TURNPIKE_BPF_SNOOP_REQUEST_H

#include "bpf/snoop_packet.bpf.h"

/* A hash of what a pending request says and under which key. No secret: it finds torn reads. */
__noinline __u64 snoop_seal(const struct snoop_pending_key *key, const struct snoop_pending *p)
{
	__u64 seal = INDEX_GOLDEN;
	const __u32 *word;

	if (!key || !p)
		return 0;
	word = (const __u32 *)key;
	for (__u32 i = 0; i < sizeof(*key) / 4; i++)
		seal = (seal ^ word[i]) * INDEX_GOLDEN;
	word = (const __u32 *)&p->request;
	for (__u32 i = 0; i < sizeof(p->request) / 4; i++)
		seal = (seal ^ word[i]) * INDEX_GOLDEN;
	return (seal ^ p->asked_ns) * INDEX_GOLDEN;
}

static __always_inline int snoop_same_request(const struct snoop_request *one,
					      const struct snoop_request *other)
{
	const __u64 *a = (const __u64 *)one, *b = (const __u64 *)other;
	__u64 differ = 0;

	for (__u32 i = 0; i < sizeof(*one) / 8; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

static __always_inline void snoop_take_request(const struct stun *m, struct snoop_request *r)
{
	r->type = m->type;
	r->channel = m->channel;
	r->peers = m->peers;
	r->odd = m->odd;
	r->family = m->family;
	r->transport = m->transport;
	r->seen = m->seen;
	r->zero = 0;
	for (int i = 0; i < STUN_PEERS; i++)
		r->peer[i] = m->peer[i];
}

/* At most TP_USER_LENGTH - 1 bytes, and a NUL. */
static __always_inline void snoop_text(struct __sk_buff *skb, __u32 at,
				       const struct stun_span *span, char *ret)
{
	__u32 more =
		span->length - 1; /* Linux 6.1 doesn't conclude from a comparison that it isn't 0 */

	ret[0] = 0;
	if (!span->length)
		return;
	if (more > TP_USER_LENGTH - 2)
		more = TP_USER_LENGTH - 2;
	barrier_var(more);
	more &= TP_USER_LENGTH - 1;
	if (more < TP_USER_LENGTH - 1 && !bpf_skb_load_bytes(skb, at + span->at, ret, more + 1))
		ret[more + 1] = 0;
}
_Static_assert(TP_USER_LENGTH == 128 && TP_REALM_LENGTH == TP_USER_LENGTH, "snoop_text's mask");

/* Keeps it, or sees that its transaction id isn't its own. */
static __always_inline void snoop_keep(struct snoop_scratch *s)
{
	struct snoop_pending *known = bpf_map_lookup_elem(&snoop_pending, &s->key);
	__u64 now = s->pending.asked_ns;

	if (!known && !bpf_map_update_elem(&snoop_pending, &s->key, &s->pending, BPF_NOEXIST))
		return;
	if (!known)
		known = bpf_map_lookup_elem(&snoop_pending, &s->key);
	if (!known)
		return;
	if (now - known->asked_ns > SNOOP_AGE_NS) {
		bpf_map_update_elem(&snoop_pending, &s->key, &s->pending, BPF_ANY);
	} else if (!snoop_same_request(&known->request, &s->pending.request)) {
		WRITE_ONCE(known->ambiguous, 1);
		snoop_count(SNOOP_AMBIGUOUS);
	}
}

/*
 * A datagram that a listener gets, and that can't be read: what it asked for is
 * not known. PORT 0: nor from which of the client's ports.
 */
static __noinline void snoop_mark_blind(const struct endpoint *client, __be16 port)
{
	struct snoop_tuple tuple = {.client_port = port};
	__u64 now = bpf_ktime_get_ns();

	tuple.client[0] = client->address[0];
	tuple.client[1] = client->address[1];
	bpf_map_update_elem(&snoop_blind, &tuple, &now, BPF_ANY);
	snoop_count(SNOOP_UNREAD);
}

static __always_inline int snoop_is_blind_at(const struct snoop_tuple *tuple, __be16 port)
{
	struct snoop_tuple key = {.client_port = port};
	__u64 *when;

	key.client[0] = tuple->client[0];
	key.client[1] = tuple->client[1];
	when = bpf_map_lookup_elem(&snoop_blind, &key);
	return when && bpf_ktime_get_ns() - *when < SNOOP_AGE_NS;
}

static __always_inline int snoop_is_blind(const struct snoop_tuple *tuple)
{
	return snoop_is_blind_at(tuple, tuple->client_port) || snoop_is_blind_at(tuple, 0);
}

/* True: it was kept, or is ambiguous. */
static __noinline int snoop_request(struct __sk_buff *skb, struct snoop_scratch *s)
{
	const struct snoop_packet *p = &s->packet;

	if (!snoop_message(skb, p->payload, p->size, &s->message)) {
		snoop_mark_blind(&p->source, p->source.port);
		return 0;
	}
	snoop_count(SNOOP_REQUESTS);
	if (s->message.odd)
		snoop_count(SNOOP_ODD);
	snoop_key(s, &p->source, &p->destination);
	s->pending.asked_ns = bpf_ktime_get_ns();
	s->pending.ambiguous = 0;
	s->pending.zero = 0;
	snoop_take_request(&s->message, &s->pending.request);
	snoop_text(skb, p->payload, &s->message.user, s->pending.user);
	snoop_text(skb, p->payload, &s->message.realm, s->pending.realm);
	s->pending.seal = snoop_seal(&s->key, &s->pending);
	snoop_keep(s);
	return 1;
}

/*
 * Copies the request that the response in S answers, if it is known and no
 * other can be meant.
 */
static __always_inline int snoop_find_request(struct snoop_scratch *s)
{
	struct snoop_pending *known = bpf_map_lookup_elem(&snoop_pending, &s->key);
	const struct snoop_pending *p = &s->pending;

	if (!known)
		return 0;
	s->pending = *known;
	if (p->ambiguous || p->request.odd || snoop_seal(&s->key, p) != p->seal)
		return 0;
	return bpf_ktime_get_ns() - p->asked_ns < SNOOP_AGE_NS &&
	       p->request.type == (s->message.type & ~STUN_CLASS) && !snoop_is_blind(&s->key.tuple);
}

#endif
