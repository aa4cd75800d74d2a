/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Success responses, as they leave by a socket that the server listens with:
 * what they confirm is in the table before the client can know of it. An end
 * needs no request to be known; all else does.
 */
#ifndef TURNPIKE_BPF_SNOOP_RESPONSE_H
#define TURNPIKE_BPF_SNOOP_RESPONSE_H

#include "bpf/snoop_learn.bpf.h"
#include "bpf/snoop_relay.bpf.h"
#include "bpf/snoop_request.bpf.h"
#include "bpf/snoop_session.bpf.h"

#define SNOOP_BOTH (1 << TP_V4 | 1 << TP_V6)

static __always_inline int snoop_is_retry(const struct snoop_allocation *a, const struct stun *m)
{
	return a->transaction[0] == m->transaction[0] && a->transaction[1] == m->transaction[1] &&
	       a->transaction[2] == m->transaction[2];
}

/* Where the server relays from, and that its sockets' closing will be seen. */
static __always_inline void snoop_set_relay(struct __sk_buff *skb, struct snoop_allocation *a,
					    const struct stun *m, int family)
{
	struct stun_address relay = m->relayed[family];
	int kind = snoop_resolve(skb, &relay);

	if (kind == SNOOP_NOT_BOUND || !snoop_watch(skb, &relay, a->tgid))
		return;
	if (kind == SNOOP_WILDCARD) {
		a->wildcard |= 1 << family;
		snoop_set_wild();
	}
	a->relay[family] = relay;
}

/* A record for the client in S, whose relay isn't known yet; NULL: no room. */
static __noinline struct snoop_allocation *snoop_make(struct snoop_scratch *s,
						      const struct snoop_server *server)
{
	struct snoop_state *state = bpf_map_lookup_elem(&snoop_states, &zero_key);
	void *empty = bpf_map_lookup_elem(&snoop_empty_allocation, &zero_key);
	struct snoop_allocation *a;

	if (!state || !empty ||
	    bpf_map_update_elem(&snoop_allocations, &s->key.tuple, empty, BPF_NOEXIST)) {
		snoop_count(SNOOP_FULL);
		count(TP_ERROR_TABLE_FULL);
		return 0;
	}
	a = bpf_map_lookup_elem(&snoop_allocations, &s->key.tuple);
	if (!a)
		return 0;
	a->session = SNOOP_SESSION | __sync_fetch_and_add(&state->sessions, 1);
	a->tgid = server->tgid;
	__builtin_memcpy(a->user, s->pending.user, sizeof(a->user));
	__builtin_memcpy(a->realm, s->pending.realm, sizeof(a->realm));
	if (bpf_timer_init(&a->timer, &snoop_allocations, SNOOP_CLOCK) ||
	    bpf_timer_set_callback(&a->timer, snoop_over))
		a->left = 1;
	return a;
}

static __noinline void snoop_on_allocate(struct __sk_buff *skb, struct snoop_scratch *s,
					 const struct snoop_server *server)
{
	const struct snoop_request *r = &s->pending.request;
	const struct stun *m = &s->message;
	struct snoop_allocation *a = bpf_map_lookup_elem(&snoop_allocations, &s->key.tuple);
	int known = snoop_find_request(s);

	if (a && snoop_is_retry(a, m))
		return;
	if (a) { /* its end was missed */
		snoop_gone(&s->key.tuple, server->tgid, SNOOP_BOTH);
		bpf_map_delete_elem(&snoop_allocations, &s->key.tuple);
	}
	snoop_count(known ? SNOOP_RESPONSES : SNOOP_UNMATCHED);
	if (!known || m->odd || !(m->seen & STUN_SEEN_LIFETIME) ||
	    (r->seen & STUN_SEEN_TRANSPORT && r->transport != 17))
		return;
	a = snoop_make(s, server);
	if (!a)
		return;
	a->transaction[0] = m->transaction[0];
	a->transaction[1] = m->transaction[1];
	a->transaction[2] = m->transaction[2];
	if ((m->seen | r->seen) & (STUN_SEEN_MOBILITY | STUN_SEEN_BANDWIDTH))
		a->left = 1;
	if (m->seen & STUN_SEEN_RELAYED_V4)
		snoop_set_relay(skb, a, m, TP_V4);
	if (m->seen & STUN_SEEN_RELAYED_V6)
		snoop_set_relay(skb, a, m, TP_V6);
	snoop_set_end(a, s->pending.asked_ns, m->lifetime);
}

/* Lifetime 0: which of two relays is given back, only the request says. */
static __always_inline __u32 snoop_families(const struct snoop_request *r, int known)
{
	if (!known || !(r->seen & STUN_SEEN_FAMILY))
		return SNOOP_BOTH;
	return r->family == 2 ? 1 << TP_V6 : 1 << TP_V4;
}

static __noinline void snoop_on_refresh(struct snoop_scratch *s, const struct snoop_server *server)
{
	const struct stun *m = &s->message;
	struct snoop_allocation *a = bpf_map_lookup_elem(&snoop_allocations, &s->key.tuple);
	int known = snoop_find_request(s);
	__u32 families = snoop_families(&s->pending.request, known);

	snoop_count(known ? SNOOP_RESPONSES : SNOOP_UNMATCHED);
	if (m->seen & STUN_SEEN_LIFETIME && m->lifetime) {
		/* Of two families that have ends of their own, none gets a longer one here. */
		if (!known || m->odd || families != SNOOP_BOTH)
			return;
		if (!a)
			a = snoop_make(s, server);
		if (a)
			snoop_set_end(a, s->pending.asked_ns, m->lifetime);
		return;
	}
	snoop_gone(&s->key.tuple, server->tgid, families);
	if (a && families & 1 << TP_V4)
		a->relay[TP_V4].family = 0;
	if (a && families & 1 << TP_V6)
		a->relay[TP_V6].family = 0;
	if (a && !(a->relay[TP_V4].family | a->relay[TP_V6].family))
		bpf_map_delete_elem(&snoop_allocations, &s->key.tuple);
}

/* The name under which the client's session is in the table, or will be. */
static __always_inline __u64 snoop_name(const struct snoop_scratch *s,
					const struct snoop_server *server,
					const struct snoop_allocation *a)
{
	if (server->events & SNOOP_COMMIT)
		return a ? a->session : 0;
	return snoop_session(&s->key.tuple, server->tgid);
}

static __always_inline void snoop_permission_of(__u64 session, __u32 tgid,
						const struct stun_address *peer,
						struct snoop_permission_key *ret)
{
	ret->session = session;
	ret->tgid = tgid;
	ret->family = peer->family;
	ret->peer[0] = peer->address[0];
	ret->peer[1] = peer->address[1];
}

static __noinline void snoop_on_create_permission(struct snoop_scratch *s,
						  const struct snoop_server *server)
{
	const struct snoop_request *r = &s->pending.request;
	struct snoop_allocation *a = bpf_map_lookup_elem(&snoop_allocations, &s->key.tuple);
	__u64 session = snoop_name(s, server, a), expires;
	struct snoop_permission_key key;
	int known = snoop_find_request(s);

	snoop_count(known ? SNOOP_RESPONSES : SNOOP_UNMATCHED);
	if (!session)
		return;
	if (!known) {
		/* Whose permission ends earlier now, where it can? */
		if (server->permission < server->bind_permission)
			snoop_gone(&s->key.tuple, server->tgid, SNOOP_BOTH);
		return;
	}
	expires = s->pending.asked_ns + server->permission * SNOOP_SECOND;
	for (__u32 i = 0; i < STUN_PEERS; i++) {
		if (i >= r->peers)
			break;
		snoop_permission_of(session, server->tgid, &r->peer[i], &key);
		snoop_permit(&key, expires);
	}
}

/* Not a wildcard, loopback, multicast, or an address that means something on one link only. */
static __always_inline int snoop_is_host(const struct stun_address *a)
{
	__u8 first = a->address[0], second = a->address[0] >> 8;

	if (!a->port)
		return 0;
	if (a->family == AF_INET)
		return first && first != 127 && first < 224;
	return a->family == AF_INET6 && first && first != 0xff &&
	       !(first == 0xfe && (second & 0xc0) == 0x80);
}

/* May a binding be made of what is known of the allocation? */
static __always_inline int snoop_is_whole(const struct snoop_allocation *a,
					  const struct stun_address *peer)
{
	if (a->left) {
		snoop_count(SNOOP_LEFT);
		return 0;
	}
	return snoop_is_host(peer);
}

/*
 * The relay isn't known yet, or not its address: data will tell, or user space.
 * True: it did just now.
 */
static __noinline int snoop_learn_later(struct snoop_scratch *s, const struct snoop_allocation *a,
					__u64 expires)
{
	const struct stun_address *peer = &s->pending.request.peer[0];
	const struct stun_address *relay = &a->relay[peer->family == AF_INET6 ? TP_V6 : TP_V4];
	struct snoop_learn *known, learn = {
					   .session = a->session,
					   .expires_ns = expires,
					   .peer = *peer,
				   };

	snoop_take_key(s, s->pending.request.channel);
	snoop_count(SNOOP_NO_RELAY);
	known = bpf_map_lookup_elem(&snoop_learning, &s->learn);
	if (known && known->session == a->session && known->peer.port == peer->port &&
	    same_address(known->peer.address, peer->address))
		known->expires_ns = expires;
	else
		bpf_map_update_elem(&snoop_learning, &s->learn, &learn, BPF_ANY);
	if (!relay->family)
		return 0;
	snoop_set_path(s, peer->address, peer->port, relay->port);
	bpf_map_update_elem(&snoop_paths, &s->path, &s->learn, BPF_ANY);
	return snoop_settle(s);
}

/*
 * A ChannelBind was asked for. If its relay's address depends on routing, then user
 * space has until the response to find it out.
 */
static __noinline void snoop_ask(struct snoop_scratch *s)
{
	const struct stun_address *peer = &s->pending.request.peer[0];
	int family = peer->family == AF_INET6 ? TP_V6 : TP_V4;
	struct snoop_allocation *a = bpf_map_lookup_elem(&snoop_allocations, &s->key.tuple);
	__u64 source[2];

	if (!a || !(a->wildcard & 1 << family) || snoop_source(peer, source))
		return;
	snoop_take_key(s, s->pending.request.channel);
	s->question.peer = *peer;
	s->question.who = s->learn;
	bpf_ringbuf_output(&snoop_questions, &s->question, sizeof(s->question), 0);
}

/* When a channel ends whose ChannelBind has just been confirmed; the permission is told. */
static __always_inline __u64 snoop_bound_until(const struct snoop_scratch *s,
					       const struct snoop_server *server, __u64 session,
					       const struct stun_address *peer)
{
	__u64 asked = s->pending.asked_ns, channel = asked + server->channel * SNOOP_SECOND;
	__u64 permission = asked + server->bind_permission * SNOOP_SECOND;
	struct snoop_permission_key key;
	int noted;

	snoop_permission_of(session, server->tgid, peer, &key);
	noted = snoop_note_channel(&key, s->pending.request.channel, peer->port, channel);
	snoop_permit(&key, permission);
	/* Who won't be told of a CreatePermission takes it to come at once. */
	if (!noted)
		permission = snoop_min(permission, asked + server->permission * SNOOP_SECOND);
	return snoop_min(channel, permission);
}

/* True: s->commit is to be committed. */
static __noinline int snoop_on_channel_bind(struct snoop_scratch *s,
					    const struct snoop_server *server)
{
	const struct snoop_request *r = &s->pending.request;
	const struct stun_address *peer = &r->peer[0];
	struct stun_address relay;
	struct snoop_allocation *a;
	__u64 session, expires;

	if (!snoop_find_request(s) || r->peers != 1 || !(r->seen & STUN_SEEN_CHANNEL) ||
	    (r->channel & bpf_htons(0xc000)) != bpf_htons(0x4000)) {
		snoop_count(SNOOP_UNMATCHED);
		return 0;
	}
	snoop_count(SNOOP_RESPONSES);
	a = bpf_map_lookup_elem(&snoop_allocations, &s->key.tuple);
	if (!a && server->events & SNOOP_COMMIT)
		a = snoop_make(s, server);
	session = snoop_name(s, server, a);
	if (!session)
		return 0;
	expires = snoop_bound_until(s, server, session, peer);
	if (!(server->events & SNOOP_COMMIT) || !a || !snoop_is_whole(a, peer))
		return 0;
	if (!snoop_relay_for(a, peer, &relay))
		return snoop_learn_later(s, a, expires);
	snoop_fill_commit(s, a, r->channel, peer, &relay, expires);
	return 1;
}

/* True: s->commit is to be committed. */
static __noinline int snoop_response(struct __sk_buff *skb, struct snoop_scratch *s)
{
	const struct snoop_packet *p = &s->packet;
	struct snoop_server *server = snoop_server(s->index);

	if (!server || !snoop_message(skb, p->payload, p->size, &s->message)) {
		snoop_count(SNOOP_UNREAD);
		return 0;
	}
	snoop_key(s, &p->destination, &p->source);
	switch (s->message.type) {
	case STUN_ALLOCATE | STUN_SUCCESS:
		snoop_on_allocate(skb, s, server);
		break;
	case STUN_REFRESH | STUN_SUCCESS:
		snoop_on_refresh(s, server);
		break;
	case STUN_CREATE_PERMISSION | STUN_SUCCESS:
		snoop_on_create_permission(s, server);
		break;
	case STUN_CHANNEL_BIND | STUN_SUCCESS:
		return snoop_on_channel_bind(s, server);
	}
	return 0;
}

#endif
