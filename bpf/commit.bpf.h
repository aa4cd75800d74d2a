/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writing the binding table: commit, retire, close. Every observer, whatever
 * it watches, ends in these functions.
 *
 * One session's events come in order, on one thread of the server. Two
 * sessions may meet in a flow (a relay port that was closed and given to the
 * next); then the later commit stands, and the earlier binding ends.
 *
 * Order matters: a record is complete before a flow leads to it, and a retired
 * record has lost its generation before anything else is taken down.
 */
#ifndef TURNPIKE_BPF_COMMIT_H
#define TURNPIKE_BPF_COMMIT_H

#include "bpf/binding.h"
#include "bpf/maps.bpf.h"
#include "bpf/seqlock.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TP_BINDINGS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tp_allocation);
} allocations SEC(".maps");

/* (session, 0) to the allocation's index; (session, channel) to a handle. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * TP_BINDINGS);
	__type(key, struct tp_session_key);
	__type(value, __u64);
} sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 3 * TP_BINDINGS);
	__type(key, struct tp_socket_key);
	__type(value, struct tp_socket);
} sockets SEC(".maps");

/* Slots that were used and are free again: first in, first out. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, TP_BINDINGS);
	__type(value, __u32);
} free_bindings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, TP_BINDINGS);
	__type(value, __u32);
} free_allocations SEC(".maps");

/* How many slots were ever taken. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tp_taken);
} taken SEC(".maps");

const volatile __u64 tick_ns = 4000000; /* a jiffy; set before loading */

/* A slot that was never used, else the one that has rested longest; -1: none. */
static __always_inline int commit_take(__u32 *next, void *free_slots, __u32 *ret)
{
	if (next && READ_ONCE(*next) < max_bindings) {
		*ret = __sync_fetch_and_add(next, 1);
		if (*ret < max_bindings)
			return 0;
	}
	return bpf_map_pop_elem(free_slots, ret) ? -1 : 0;
}

/* Not inlined: its loop is verified once. */
__noinline int commit_lock(__u32 *sequence)
{
	return sequence && seq_lock(sequence);
}

static __always_inline struct tp_taken *commit_taken(void)
{
	return bpf_map_lookup_elem(&taken, &zero_key);
}

struct endpoint {
	__u64 address[2];
	__be16 port;
	__u16 family;
	__u32 zero;
} __attribute__((aligned(8))); /* compared by words, on BPF's strictly aligned stack */

/* A binding as an observer saw it committed. */
struct commit {
	__u64 session;
	__u64 expires_ns;
	__u32 tgid;
	__u16 server;
	__be16 channel;
	struct endpoint end[TP_ENDS];
};

/* Apart for its stack; so are commit_socket(), commit_fill() and commit_lead(). */
__noinline int commit_notice(__u32 kind, __u32 tgid, __u64 session, __be16 channel,
			     tp_handle handle)
{
	struct tp_notice n = {
		.kind = kind,
		.tgid = tgid,
		.session = session,
		.handle = handle,
		.channel = bpf_ntohs(channel),
	};

	notice(&n);
	return 0;
}

/* Longer than any lifetime that a client may ask for, and half of what a leg's clock can tell. */
#define COMMIT_TICKS_MAX (1U << 30)

/* The fast path's clock: to read it costs no call. */
static __always_inline __u32 commit_jiffies(__u64 ns)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 ticks = (ns > now ? ns - now : 0) / tick_ns;

	return bpf_jiffies64() + (ticks < COMMIT_TICKS_MAX ? ticks : COMMIT_TICKS_MAX);
}

static __always_inline void commit_count_port(__be16 number, int relay, int by)
{
	struct tp_port *port = &shared.port[bpf_ntohs(number)];

	__sync_fetch_and_add(relay ? &port->relay : &port->listener, by);
}

/*
 * In either of the flow's buckets; see index_replace(). A new entry goes only
 * where no other has its tag, for of two alike the second is never found.
 */
__noinline int commit_replace_flow(__u64 hash, __u32 from, __u32 to)
{
	struct tp_bucket *bucket;

	for (int choice = 0; choice < 2; choice++) {
		__u32 number = index_bucket(hash, choice, shared.config.index_shift);

		bucket = bpf_map_lookup_elem(&flows, &number);
		if (!bucket || (!from && index_find(bucket, hash) >= 0))
			continue;
		if (index_replace(bucket, from, to))
			return 1;
	}
	return 0;
}

static __always_inline void commit_drop_flow(const struct tp_binding *b, int direction, __u32 slot)
{
	struct tp_flow flow = binding_flow(b, direction);
	__u64 hash = index_hash(&flow, shared.config.index_secret);

	commit_replace_flow(hash, index_entry(hash, slot), 0);
}

/* No packet finds the leg any more, and none that did is confirmed. */
static __always_inline void commit_end_leg(__u32 slot, int direction)
{
	struct tp_leg *leg = leg_of(slot, direction);

	if (!leg)
		return;
	WRITE_ONCE(leg->in.ports, 0);
	__sync_fetch_and_add(&leg->sequence, 2);
}

/*
 * Ends the binding HANDLE, if it still is one. It waits for nobody, for it must
 * not fail: who raises the generation has the record, until its slot is free.
 */
__noinline int commit_retire_handle(tp_handle handle)
{
	__u32 slot = handle_slot(handle), generation = handle_generation(handle);
	struct tp_binding *b = bpf_map_lookup_elem(&bindings, &slot);
	struct tp_session_key key = {};

	if (!b || !(generation & 1) ||
	    __sync_val_compare_and_swap(&b->generation, generation, generation + 1) != generation)
		return 0;
	commit_end_leg(slot, TP_UP);
	commit_end_leg(slot, TP_DOWN);
	commit_drop_flow(b, TP_UP, slot);
	commit_drop_flow(b, TP_DOWN, slot);
	commit_count_port(b->port[TP_SERVER], 0, -1);
	commit_count_port(b->port[TP_RELAY], 1, -1);
	key.session = b->session;
	key.tgid = b->tgid;
	key.channel = bpf_ntohs(b->channel);
	bpf_map_delete_elem(&sessions, &key);
	commit_notice(TP_NOTICE_RETIRE, b->tgid, b->session, b->channel, handle);
	bpf_map_push_elem(&free_bindings, &slot, 0);
	return 1;
}

/* The channel of a session is no more. */
__noinline int commit_retire(__u64 session, __u32 tgid, __u32 channel)
{
	struct tp_session_key key = {.session = session, .tgid = tgid, .channel = channel};
	__u64 *handle = bpf_map_lookup_elem(&sessions, &key);

	return handle ? commit_retire_handle(*handle) : 0;
}

/* Retires in one step all bindings of an allocation that are relayed in FAMILIES. */
static __always_inline void commit_bump(__u32 allocation, __u32 families)
{
	struct tp_epochs *e = bpf_map_lookup_elem(&epochs, &allocation);

	if (!e)
		return;
	if (families & 1 << TP_V4)
		__sync_fetch_and_add(&e->epoch[TP_V4], 1);
	if (families & 1 << TP_V6)
		__sync_fetch_and_add(&e->epoch[TP_V6], 1);
}

__noinline int commit_allocation_gone(__u64 session, __u32 tgid)
{
	struct tp_session_key key = {.session = session, .tgid = tgid};
	__u64 *found = bpf_map_lookup_elem(&sessions, &key);
	struct tp_allocation *a;
	__u32 index;

	if (!found)
		return 0;
	index = *found;
	commit_bump(index, 1 << TP_V4 | 1 << TP_V6);
	bpf_map_delete_elem(&sessions, &key);
	a = bpf_map_lookup_elem(&allocations, &index);
	if (a)
		a->in_use = 0;
	commit_notice(TP_NOTICE_ALLOCATION_GONE, tgid, session, 0, 0);
	bpf_map_push_elem(&free_allocations, &index, 0);
	return 1;
}

/* A socket is being closed or leaves its session: nothing may use its address any more. */
__noinline int commit_socket_closed(const struct tp_socket_key *closed)
{
	struct tp_allocation *a;
	struct tp_socket *socket;
	struct tp_socket_key key;

	if (!closed)
		return 0;
	key = *closed; /* before Linux 6.2 a key has to lie on the stack */
	socket = bpf_map_lookup_elem(&sockets, &key);
	if (!socket)
		return 0;
	a = bpf_map_lookup_elem(&allocations, &socket->allocation);
	if (a && a->in_use && a->session == socket->session && a->tgid == key.tgid) {
		commit_bump(socket->allocation, socket->families);
		commit_notice(TP_NOTICE_SOCKET_CLOSED, key.tgid, socket->session, 0, 0);
	}
	bpf_map_delete_elem(&sockets, &key);
	return 1;
}

/* Ties a socket to its allocation, so that its closing is known. */
__noinline int commit_socket(const struct commit *c, int is_relay, __u32 allocation, __u32 families)
{
	struct tp_socket value = {.allocation = allocation, .families = families};
	struct tp_socket_key key = {};
	int local = is_relay ? TP_RELAY : TP_SERVER;

	if (!c)
		return -1;
	value.session = c->session;
	key.tgid = c->tgid;
	__builtin_memcpy(key.local, c->end[local].address, 16);
	key.local_port = c->end[local].port;
	if (!is_relay) {
		__builtin_memcpy(key.remote, c->end[TP_CLIENT].address, 16);
		key.remote_port = c->end[TP_CLIENT].port;
	}
	return bpf_map_update_elem(&sockets, &key, &value, BPF_ANY);
}

/*
 * The session's allocation, made if it is new; *FRESH then says so, for the
 * caller to fill in user and realm. -1: no room.
 */
static __always_inline long commit_allocation(const struct commit *c, int *fresh)
{
	struct tp_session_key key = {.session = c->session, .tgid = c->tgid};
	__u64 *found = bpf_map_lookup_elem(&sessions, &key);
	struct tp_taken *t = commit_taken();
	struct tp_allocation *a;
	__u32 index = 0;
	__u64 value;

	*fresh = 0;
	if (found)
		return *found;
	if (!t || commit_take(&t->allocations, &free_allocations, &index))
		return -1;
	value = index;
	a = bpf_map_lookup_elem(&allocations, &index);
	if (!a || bpf_map_update_elem(&sessions, &key, &value, BPF_ANY)) {
		bpf_map_push_elem(&free_allocations, &index, 0);
		return -1;
	}
	a->session = c->session;
	a->tgid = c->tgid;
	a->server = c->server;
	a->user[0] = 0;
	a->realm[0] = 0;
	a->in_use = 1;
	*fresh = 1;
	return index;
}

static __always_inline int same_address(const __u64 *one, const __u64 *other)
{
	return one[0] == other[0] && one[1] == other[1];
}

/* Does the record hold this very binding, still alive? Then the commit is a refresh. */
static __always_inline int commit_is_refresh(const struct tp_binding *b, tp_handle handle,
					     const struct commit *c, __u32 epoch)
{
	int same = b->generation == handle_generation(handle) && b->epoch == epoch;

	for (int i = 0; i < TP_ENDS; i++)
		same = same && b->port[i] == c->end[i].port &&
		       same_address(b->address[i], c->end[i].address);
	return same;
}

static __always_inline void commit_fill_leg(struct tp_binding *b, int direction, struct tp_leg *leg)
{
	b->hop_asked[direction] = 0;
	b->shared[direction].packets = b->shared[direction].bytes = 0;
	b->watch[direction].packets = 0;
	b->watch[direction].since = bpf_jiffies64();
	binding_terms(b, direction, &b->terms[direction]);
	leg->own.packets = leg->own.bytes = 0;
	leg->hop = hop_none(b->generation);
	binding_leg(b, direction, commit_jiffies(b->expires_ns), leg);
}

__noinline int commit_fill(struct tp_binding *b, const struct commit *c, __u32 allocation,
			   __u32 epoch, __u32 slot)
{
	struct tp_leg *up = leg_of(slot, TP_UP), *down = leg_of(slot, TP_DOWN);

	if (!b || !c || !up || !down)
		return -1;
	/* The only writer: it holds the binding. What is read with a leg is written with it. */
	__sync_fetch_and_add(&up->sequence, 1);
	__sync_fetch_and_add(&down->sequence, 1);
	b->generation += 1 + (b->generation & 1); /* the next odd one */
	b->allocation = allocation;
	b->epoch = epoch;
	b->expires_ns = c->expires_ns;
	b->channel = c->channel;
	b->client_family = c->end[TP_CLIENT].family;
	b->peer_family = c->end[TP_PEER].family;
	b->server = c->server;
	b->tgid = c->tgid;
	b->session = c->session;
	for (int i = 0; i < TP_ENDS; i++) {
		b->port[i] = c->end[i].port;
		b->address[i][0] = c->end[i].address[0];
		b->address[i][1] = c->end[i].address[1];
	}
	seq_write_barrier(&b->zero2); /* addresses before hops: see find_hop() */
	commit_fill_leg(b, TP_UP, up);
	commit_fill_leg(b, TP_DOWN, down);
	__sync_fetch_and_add(&up->sequence, 1);
	__sync_fetch_and_add(&down->sequence, 1);
	return 0;
}

/*
 * Lets the flow of a DIRECTION lead to SLOT. A binding that had it before, and whose
 * end was missed, ends now. False: both buckets are full.
 */
__noinline int commit_lead(__u32 slot, int direction)
{
	struct tp_binding *b = binding_at(slot), *before;
	struct flow_way way;
	struct tp_flow flow;
	__u64 hash;

	if (!b)
		return 0;
	flow = binding_flow(b, direction);
	if (flow_find6(&flow, direction & 1, b->address[direction == TP_UP ? TP_CLIENT : TP_PEER],
		       b->address[direction == TP_UP ? TP_SERVER : TP_RELAY], &way) &&
	    way.slot != slot) {
		before = binding_at(way.slot);
		if (before)
			commit_retire_handle(binding_handle(way.slot, before->generation));
	}
	hash = index_hash(&flow, shared.config.index_secret);
	return commit_replace_flow(hash, 0, index_entry(hash, slot));
}

/* Makes a complete record, then lets the flows lead to it. */
__noinline int commit_install(struct commit *c, __u32 allocation, __u32 epoch)
{
	struct tp_taken *t = commit_taken();
	struct tp_session_key key = {};
	struct tp_binding *b;
	tp_handle handle;
	__u32 slot = 0;

	if (!c)
		return -1;
	key.session = c->session;
	key.tgid = c->tgid;
	if (!t || commit_take(&t->bindings, &free_bindings, &slot))
		goto full;
	b = binding_at(slot);
	if (!b || !commit_lock(&b->sequence)) {
		bpf_map_push_elem(&free_bindings, &slot, 0);
		goto full;
	}
	commit_fill(b, c, allocation, epoch, slot);
	handle = binding_handle(slot, b->generation);
	seq_unlock(&b->sequence);
	commit_count_port(b->port[TP_SERVER], 0, 1);
	commit_count_port(b->port[TP_RELAY], 1, 1);
	key.channel = bpf_ntohs(c->channel);
	if (bpf_map_update_elem(&sessions, &key, &handle, BPF_ANY) || !commit_lead(slot, TP_UP) ||
	    !commit_lead(slot, TP_DOWN)) {
		commit_retire_handle(handle);
		goto full;
	}
	commit_notice(TP_NOTICE_COMMIT, c->tgid, c->session, c->channel, handle);
	return 0;
full:
	count(TP_ERROR_TABLE_FULL);
	commit_notice(TP_NOTICE_TABLE_FULL, c->tgid, c->session, c->channel, 0);
	return -1;
}

/* For who holds the binding: its end moves. */
static __always_inline void commit_set_end(struct tp_binding *b, __u32 slot, __u64 expires_ns)
{
	struct tp_leg *up = leg_of(slot, TP_UP), *down = leg_of(slot, TP_DOWN);
	__u32 expires = commit_jiffies(expires_ns);

	b->expires_ns = expires_ns;
	if (up)
		WRITE_ONCE(up->expires, expires);
	if (down)
		WRITE_ONCE(down->expires, expires);
}

/* Refreshes the binding if it is there; 0 if there is none (any more) to refresh. */
__noinline int commit_refresh(struct commit *c, __u32 epoch)
{
	struct tp_session_key key = {};
	struct tp_binding *b;
	__u64 *found, handle;
	__u32 slot;
	int same;

	if (!c)
		return 0;
	key.session = c->session;
	key.tgid = c->tgid;
	key.channel = bpf_ntohs(c->channel);
	found = bpf_map_lookup_elem(&sessions, &key);
	if (!found)
		return 0;
	handle = *found;
	slot = handle_slot(handle);
	b = binding_at(slot);
	if (!b || !commit_lock(&b->sequence))
		return 0;
	same = commit_is_refresh(b, handle, c, epoch);
	if (same)
		commit_set_end(b, slot, c->expires_ns);
	seq_unlock(&b->sequence);
	if (!same) {
		commit_retire_handle(handle);
		return 0;
	}
	return 1;
}

/* Commits or refreshes; returns the allocation's index if user and realm are still to be set. */
static __always_inline long commit_binding(struct commit *c)
{
	__u32 index, epoch, family = c->end[TP_RELAY].family == AF_INET6 ? TP_V6 : TP_V4;
	struct tp_epochs *e;
	long allocation;
	int fresh;

	allocation = commit_allocation(c, &fresh);
	if (allocation < 0) {
		count(TP_ERROR_TABLE_FULL);
		return -1;
	}
	index = allocation;
	e = bpf_map_lookup_elem(&epochs, &index);
	if (!e)
		return -1;
	epoch = READ_ONCE(e->epoch[family]);
	if (!commit_refresh(c, epoch)) {
		/* Without these its end might go unseen: then it is not begun. */
		if (commit_socket(c, 1, index, 1 << family) ||
		    commit_socket(c, 0, index, 1 << TP_V4 | 1 << TP_V6))
			count(TP_ERROR_TABLE_FULL);
		else
			commit_install(c, index, epoch);
	}
	return fresh ? allocation : -1;
}

#endif
