/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a binding is relayed from, when no packet said it: the allocation was
 * made before turnpike came, or its socket has no address of its own. Then data
 * that still goes through the server tells.
 *
 * A payload that comes in on a bound channel and goes out to the channel's
 * peer, by a socket that the server had when turnpike came, names its relay. It
 * counts if the same payload was not seen before in either direction, so who
 * knows what a client usually sends gains nothing; and a relay is believed after
 * SNOOP_CONFIRMED such payloads, none of which went another way.
 */
#ifndef TURNPIKE_BPF_SNOOP_LEARN_H
#define TURNPIKE_BPF_SNOOP_LEARN_H

#include "bpf/snoop_packet.bpf.h"
#include "bpf/snoop_relay.bpf.h"
#include "bpf/snoop_session.bpf.h"

#define SNOOP_CONFIRMED 3
#define SNOOP_PRINTED	128 /* bytes of a payload that its print is made of */
#define SNOOP_SHORTEST	8   /* of payloads that count */

/*
 * The source address that routing has for a peer: the only one, or the one that
 * was seen. False: not known yet.
 */
static __always_inline int snoop_source(const struct stun_address *peer, __u64 *ret)
{
	__u64 *found = bpf_map_lookup_elem(&snoop_sources, peer->address);
	__u32 family = peer->family == AF_INET6 ? TP_V6 : TP_V4;
	const struct stun_address *only;

	if (found) {
		ret[0] = found[0];
		ret[1] = found[1];
		return 1;
	}
	only = bpf_map_lookup_elem(&snoop_only_address, &family);
	if (!only || !only->family)
		return 0;
	ret[0] = only->address[0];
	ret[1] = only->address[1];
	return 1;
}

/* Which address a peer sees of the allocation; false: that isn't known (yet). */
static __always_inline int snoop_relay_for(const struct snoop_allocation *a,
					   const struct stun_address *peer,
					   struct stun_address *ret)
{
	int family = peer->family == AF_INET6 ? TP_V6 : TP_V4;

	*ret = a->relay[family];
	if (!ret->family)
		return 0;
	return !(a->wildcard & 1 << family) || snoop_source(peer, ret->address);
}

static __always_inline void snoop_take_key(struct snoop_scratch *s, __be16 channel)
{
	s->learn.tuple = s->key.tuple;
	s->learn.channel = channel;
	s->learn.zero = 0;
	s->learn.zero2 = 0;
}

static __noinline int snoop_print(struct __sk_buff *skb, struct snoop_scratch *s, __u32 at,
				  __u32 size)
{
	__u64 hash = INDEX_GOLDEN;
	__u32 more = size - 1; /* as in snoop_text() */

	if (size < SNOOP_SHORTEST)
		return 0;
	__builtin_memset(s->payload, 0, sizeof(s->payload));
	if (more > SNOOP_PRINTED - 1)
		more = SNOOP_PRINTED - 1;
	barrier_var(more);
	more &= SNOOP_PRINTED - 1;
	if (bpf_skb_load_bytes(skb, at, s->payload, more + 1))
		return 0;
	for (__u32 i = 0; i < SNOOP_PRINTED / 8; i++) {
		hash = (hash ^ s->payload[i]) * INDEX_GOLDEN;
		hash ^= hash >> 29;
	}
	s->print.hash = hash;
	s->print.length = size;
	return 1;
}

static __always_inline void snoop_print_peer(struct snoop_scratch *s, const __u64 *address,
					     __be16 port)
{
	s->print.peer[0] = address[0];
	s->print.peer[1] = address[1];
	s->print.port = port;
	s->print.zero = 0;
}

/* Makes s->commit of what is known of a channel. */
static __always_inline void snoop_learn_commit(struct snoop_scratch *s,
					       const struct snoop_allocation *a,
					       const struct snoop_learn *l,
					       const struct stun_address *relay)
{
	snoop_fill_commit(s, a, s->learn.channel, &l->peer, relay, l->expires_ns);
}

/* What is to be learned of the channel in s->learn; NULL: nothing (any more). */
static __always_inline struct snoop_learn *snoop_learned(struct snoop_scratch *s,
							 struct snoop_allocation **ret)
{
	struct snoop_learn *l = bpf_map_lookup_elem(&snoop_learning, &s->learn);

	if (!l)
		return 0;
	*ret = bpf_map_lookup_elem(&snoop_allocations, &s->learn.tuple);
	if (*ret && (*ret)->session == l->session && l->expires_ns > bpf_ktime_get_ns())
		return l;
	bpf_map_delete_elem(&snoop_learning, &s->learn);
	return 0;
}

/* Channel data that a listener gets. True: s->commit is to be committed. */
static __noinline int snoop_data(struct __sk_buff *skb, struct snoop_scratch *s)
{
	const struct snoop_packet *p = &s->packet;
	struct snoop_allocation *a;
	struct stun_address relay;
	struct snoop_going *known;
	struct snoop_learn *l;
	__be16 head[2];

	if (p->size < sizeof(head) || bpf_skb_load_bytes(skb, p->payload, head, sizeof(head)) ||
	    bpf_ntohs(head[1]) > p->size - sizeof(head))
		return 0;
	snoop_client(s, &p->source, &p->destination);
	snoop_take_key(s, head[0]);
	l = snoop_learned(s, &a);
	if (!l)
		return 0;
	if (snoop_relay_for(a, &l->peer, &relay)) {
		snoop_learn_commit(s, a, l, &relay);
		bpf_map_delete_elem(&snoop_learning, &s->learn);
		return 1;
	}
	if (!snoop_print(skb, s, p->payload + sizeof(head), bpf_ntohs(head[1])))
		return 0;
	snoop_print_peer(s, l->peer.address, l->peer.port);
	s->going.who = s->learn;
	s->going.left = 0;
	s->going.zero = 0;
	if (bpf_map_update_elem(&snoop_prints, &s->print, &s->going, BPF_NOEXIST)) {
		known = bpf_map_lookup_elem(&snoop_prints, &s->print);
		if (known)
			WRITE_ONCE(known->left, 1);
	}
	return 0;
}

/* The relay in A's FAMILY is known now, if no other session has it. */
static __always_inline int snoop_believe(struct __sk_buff *skb, struct snoop_scratch *s,
					 struct snoop_allocation *a,
					 const struct stun_address *relay)
{
	const struct endpoint *from = &s->packet.source, *to = &s->packet.destination;
	struct tp_socket_key key = {.local_port = relay->port, .tgid = a->tgid};
	int family = relay->family == AF_INET6 ? TP_V6 : TP_V4;
	struct tp_socket *owner;

	__builtin_memcpy(key.local, relay->address, 16);
	owner = bpf_map_lookup_elem(&sockets, &key);
	if ((owner && owner->session != a->session) || a->relay[family].family)
		return 0;
	if (!snoop_watch(skb, relay, a->tgid))
		return 0;
	if (snoop_bound(skb, relay) == SNOOP_WILDCARD) {
		a->wildcard |= 1 << family;
		bpf_map_update_elem(&snoop_sources, to->address, from->address, BPF_ANY);
	}
	a->relay[family] = *relay;
	return 1;
}

/* What came in on s->learn has left as the packet. True: s->commit is to be committed. */
static __noinline int snoop_confirm(struct __sk_buff *skb, struct snoop_scratch *s)
{
	const struct endpoint *from = &s->packet.source, *to = &s->packet.destination;
	struct stun_address relay = {.port = from->port, .family = from->family};
	struct snoop_allocation *a;
	struct snoop_learn *l = snoop_learned(s, &a);

	if (!l || l->peer.port != to->port || !same_address(l->peer.address, to->address))
		return 0;
	relay.address[0] = from->address[0];
	relay.address[1] = from->address[1];
	if (l->candidate.port != relay.port || !same_address(l->candidate.address, relay.address)) {
		l->candidate = relay;
		l->confirmed = 0;
	}
	if (++l->confirmed < SNOOP_CONFIRMED || a->left || !snoop_believe(skb, s, a, &relay))
		return 0;
	snoop_learn_commit(s, a, l, &relay);
	bpf_map_delete_elem(&snoop_learning, &s->learn);
	return 1;
}

/* A datagram leaves by a relay socket. True: s->commit is to be committed. */
static __noinline int snoop_relayed(struct __sk_buff *skb, struct snoop_scratch *s)
{
	const struct snoop_packet *p = &s->packet;
	struct snoop_going *known;

	if (!snoop_print(skb, s, p->payload, p->size))
		return 0;
	snoop_print_peer(s, p->destination.address, p->destination.port);
	known = bpf_map_lookup_elem(&snoop_prints, &s->print);
	if (!known) {
		__builtin_memset(&s->going, 0, sizeof(s->going));
		s->going.left = 1;
		bpf_map_update_elem(&snoop_prints, &s->print, &s->going, BPF_NOEXIST);
		return 0;
	}
	if (__sync_fetch_and_add(&known->left, 1))
		return 0;
	s->learn = known->who;
	s->key.tuple = s->learn.tuple;
	return snoop_confirm(skb, s);
}

/* The channel in s->learn, if all is known now. True: s->commit is to be committed. */
static __noinline int snoop_settle(struct snoop_scratch *s)
{
	struct snoop_allocation *a;
	struct stun_address relay;
	struct snoop_learn *l;

	s->key.tuple = s->learn.tuple;
	l = snoop_learned(s, &a);
	if (!l || !snoop_relay_for(a, &l->peer, &relay))
		return 0;
	snoop_learn_commit(s, a, l, &relay);
	bpf_map_delete_elem(&snoop_learning, &s->learn);
	return 1;
}

static __always_inline void snoop_set_path(struct snoop_scratch *s, const __u64 *peer,
					   __be16 peer_port, __be16 relay_port)
{
	s->path.peer[0] = peer[0];
	s->path.peer[1] = peer[1];
	s->path.peer_port = peer_port;
	s->path.relay_port = relay_port;
	s->path.zero = 0;
}

/*
 * A datagram leaves by a relay socket that has no address of its own: now it is
 * known for its peer. True: s->commit is to be committed.
 */
static __noinline int snoop_see_source(struct snoop_scratch *s)
{
	const struct endpoint *from = &s->packet.source, *to = &s->packet.destination;
	struct snoop_learn_key *who;

	bpf_map_update_elem(&snoop_sources, to->address, from->address, BPF_ANY);
	snoop_set_path(s, to->address, to->port, from->port);
	who = bpf_map_lookup_elem(&snoop_paths, &s->path);
	if (!who)
		return 0;
	s->learn = *who;
	bpf_map_delete_elem(&snoop_paths, &s->path);
	return snoop_settle(s);
}

#endif
