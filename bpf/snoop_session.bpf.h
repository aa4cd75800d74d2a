/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sessions and their ends as packets tell them. A binding lives as long as its
 * channel and its peer's permission, and no longer than its allocation; each of
 * these has an end of its own, that only what the server confirmed moves.
 */
#ifndef TURNPIKE_BPF_SNOOP_SESSION_H
#define TURNPIKE_BPF_SNOOP_SESSION_H

#include "bpf/expiry.bpf.h"
#include "bpf/snoop_maps.bpf.h"

#define SNOOP_SECOND 1000000000ULL
#define SNOOP_CLOCK  1 /* CLOCK_MONOTONIC */

static __always_inline __u64 snoop_min(__u64 one, __u64 other)
{
	return one < other ? one : other;
}

/* The socket of a client, as commits know it. */
static __always_inline void snoop_client_key(const struct snoop_tuple *tuple, __u32 tgid,
					     struct tp_socket_key *ret)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	__builtin_memcpy(ret->local, tuple->server, 16);
	__builtin_memcpy(ret->remote, tuple->client, 16);
	ret->local_port = tuple->server_port;
	ret->remote_port = tuple->client_port;
	ret->tgid = tgid;
}

/* The client's session in the table, whoever committed there; 0: none. */
__noinline __u64 snoop_session(const struct snoop_tuple *tuple, __u32 tgid)
{
	struct tp_socket_key key;
	struct tp_socket *socket;

	if (!tuple)
		return 0;
	snoop_client_key(tuple, tgid, &key);
	socket = bpf_map_lookup_elem(&sockets, &key);
	return socket ? socket->session : 0;
}

/* A client's allocation is no more. FAMILIES: bits of tp_family. */
__noinline int snoop_gone(const struct snoop_tuple *tuple, __u32 tgid, __u32 families)
{
	__u64 session = snoop_session(tuple, tgid);

	snoop_count(SNOOP_GONES);
	if (families != (1 << TP_V4 | 1 << TP_V6))
		return expiry_families_gone(session, tgid, families);
	return commit_allocation_gone(session, tgid);
}

/* An allocation's time is over. */
static int snoop_over(void *map, struct snoop_tuple *tuple, struct snoop_allocation *a)
{
	struct snoop_tuple key = *tuple;

	if (READ_ONCE(a->expires_ns) > bpf_ktime_get_ns())
		return 0; /* it was refreshed, just now */
	snoop_gone(&key, a->tgid, 1 << TP_V4 | 1 << TP_V6);
	bpf_map_delete_elem(map, &key);
	return 0;
}

static __always_inline void snoop_set_end(struct snoop_allocation *a, __u64 asked, __u32 seconds)
{
	__u64 now = bpf_ktime_get_ns(), expires = asked + seconds * SNOOP_SECOND;

	WRITE_ONCE(a->expires_ns, expires);
	bpf_timer_start(&a->timer, expires > now ? expires - now : 0, 0);
}

/* Ends by itself, with everything that it is good for. */
static int snoop_permission_over(void *map, struct snoop_permission_key *key,
				 struct snoop_permission_entry *p)
{
	if (READ_ONCE(p->permission.expires_ns) <= bpf_ktime_get_ns())
		bpf_map_delete_elem(map, key);
	return 0;
}

/* The record of a permission, made if there is none; NULL: no room. */
static __always_inline struct snoop_permission_entry *
snoop_permission(const struct snoop_permission_key *key)
{
	struct snoop_permission_entry *p = bpf_map_lookup_elem(&snoop_permissions, key);
	struct snoop_permission_entry *empty;

	if (p)
		return p;
	empty = bpf_map_lookup_elem(&snoop_empty, &zero_key);
	if (!empty || bpf_map_update_elem(&snoop_permissions, key, empty, BPF_NOEXIST)) {
		snoop_count(SNOOP_FULL);
		return 0;
	}
	p = bpf_map_lookup_elem(&snoop_permissions, key);
	if (p && !bpf_timer_init(&p->timer, &snoop_permissions, SNOOP_CLOCK))
		bpf_timer_set_callback(&p->timer, snoop_permission_over);
	return p;
}

/* Tells the channels to this peer how long they last now. */
static __always_inline void snoop_tell_channels(const struct snoop_permission_key *key,
						const struct snoop_permission *p)
{
	struct endpoint peer = {.family = key->family};

	peer.address[0] = key->peer[0];
	peer.address[1] = key->peer[1];
	for (int i = 0; i < SNOOP_CHANNELS; i++) {
		const struct snoop_channel *c = &p->channel[i];

		if (!c->channel)
			continue;
		peer.port = c->port;
		expiry_set(key->session, key->tgid, bpf_ntohs(c->channel), &peer,
			   snoop_min(c->expires_ns, p->expires_ns));
	}
}

/* A permission is good until EXPIRES. */
__noinline int snoop_permit(const struct snoop_permission_key *of, __u64 expires)
{
	struct snoop_permission_entry *p;
	__u64 now = bpf_ktime_get_ns();
	struct snoop_permission_key key;

	if (!of)
		return 0;
	key = *of; /* Linux 6.1 takes no argument for a map's key */
	p = snoop_permission(&key);
	if (!p)
		return 0;
	WRITE_ONCE(p->permission.expires_ns, expires);
	bpf_timer_start(&p->timer, expires > now ? expires - now : 0, 0);
	snoop_tell_channels(&key, &p->permission);
	return 1;
}

/* Notes a channel with its permission, so that it is told; false: then it is not. */
__noinline int snoop_note_channel(const struct snoop_permission_key *of, __u32 channel, __u32 port,
				  __u64 expires)
{
	struct snoop_permission_key key;
	struct snoop_permission_entry *p;
	struct snoop_channel *c, *place = 0;
	__u64 now = bpf_ktime_get_ns();

	if (!of)
		return 0;
	key = *of;
	p = snoop_permission(&key);
	if (!p)
		return 0;
	for (int i = 0; i < SNOOP_CHANNELS; i++) {
		c = &p->permission.channel[i];
		if (c->channel == (__be16)channel) {
			place = c;
			break;
		}
		if (!place && (!c->channel || c->expires_ns <= now))
			place = c;
	}
	if (!place)
		return 0;
	place->channel = channel;
	place->port = port;
	place->expires_ns = expires;
	return 1;
}

static __always_inline void snoop_end(struct endpoint *end, const __u64 *address, __be16 port,
				      __u16 family)
{
	end->address[0] = address[0];
	end->address[1] = address[1];
	end->port = port;
	end->family = family;
	end->zero = 0;
}

static __always_inline void snoop_fill_commit(struct snoop_scratch *s,
					      const struct snoop_allocation *a, __be16 channel,
					      const struct stun_address *peer,
					      const struct stun_address *relay, __u64 expires)
{
	const struct snoop_tuple *t = &s->key.tuple;
	struct commit *c = &s->commit;

	c->session = a->session;
	c->expires_ns = expires;
	c->tgid = a->tgid;
	c->server = t->index;
	c->channel = channel;
	snoop_end(&c->end[TP_CLIENT], t->client, t->client_port, t->family);
	snoop_end(&c->end[TP_SERVER], t->server, t->server_port, t->family);
	snoop_end(&c->end[TP_RELAY], relay->address, relay->port, relay->family);
	snoop_end(&c->end[TP_PEER], peer->address, peer->port, peer->family);
}

/*
 * Commits what was found; and whose it is, for people, once a session. Called by
 * the program itself: the stack that all calls share is 512 bytes.
 */
static __noinline void snoop_commit(struct snoop_scratch *s)
{
	long allocation = commit_binding(&s->commit);
	struct snoop_allocation *a;
	struct tp_allocation *named;
	__u32 index = allocation;

	snoop_count(SNOOP_COMMITS);
	named = allocation < 0 ? 0 : bpf_map_lookup_elem(&allocations, &index);
	a = named ? bpf_map_lookup_elem(&snoop_allocations, &s->key.tuple) : 0;
	if (!a)
		return;
	__builtin_memcpy(named->user, a->user, sizeof(named->user));
	__builtin_memcpy(named->realm, a->realm, sizeof(named->realm));
}

#endif
