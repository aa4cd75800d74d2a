/* SPDX-License-Identifier: GPL-2.0-only */
/* Snooping's own maps, and what is counted in them. */
#ifndef TURNPIKE_BPF_SNOOP_MAPS_H
#define TURNPIKE_BPF_SNOOP_MAPS_H

#include "bpf/commit.bpf.h"
#include "bpf/snoop.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TP_SERVERS);
	__type(key, __u32);
	__type(value, struct snoop_server);
} snoop_servers SEC(".maps");

/*
 * Cookies of sockets that servers had when turnpike came, to the server's index
 * and SNOOP_RELAY. Responses count from those that it listens with.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SNOOP_SOCKETS);
	__type(key, __u64);
	__type(value, __u32);
} snoop_listeners SEC(".maps");

/* Requests that wait for their response. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SNOOP_PENDING);
	__type(key, struct snoop_pending_key);
	__type(value, struct snoop_pending);
} snoop_pending SEC(".maps");

/* Clients that sent what could not be read, and when: a response to them may answer that. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SNOOP_BLIND);
	__type(key, struct snoop_tuple); /* client alone, its port maybe 0 */
	__type(value, __u64);
} snoop_blind SEC(".maps");

/* Made by authenticated requests only. Memory is taken as it is needed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TP_BINDINGS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct snoop_tuple);
	__type(value, struct snoop_allocation);
} snoop_allocations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TP_BINDINGS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct snoop_permission_key);
	__type(value, struct snoop_permission_entry);
} snoop_permissions SEC(".maps");

/* What a new permission or allocation is made from: zeros. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct snoop_permission_entry));
} snoop_empty SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct snoop_allocation));
} snoop_empty_allocation SEC(".maps");

/* This machine's own addresses; family 0: no more. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SNOOP_ADDRESSES);
	__type(key, __u32);
	__type(value, struct stun_address);
} snoop_addresses SEC(".maps");

/* By tp_family: its address, if it has but one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TP_FAMILIES);
	__type(key, __u32);
	__type(value, struct stun_address);
} snoop_only_address SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct snoop_socket);
} snoop_relays SEC(".maps");

/* By which of its addresses the machine sends to a peer, if a socket leaves it the choice. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SNOOP_SOURCES);
	__uint(key_size, 16);
	__uint(value_size, 16);
} snoop_sources SEC(".maps");

/* Channels that wait for their relay's address; its port is known. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SNOOP_LEARNING);
	__type(key, struct snoop_path);
	__type(value, struct snoop_learn_key);
} snoop_paths SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SNOOP_QUESTIONS);
} snoop_questions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SNOOP_LEARNING);
	__type(key, struct snoop_learn_key);
	__type(value, struct snoop_learn);
} snoop_learning SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SNOOP_PRINTS);
	__type(key, struct snoop_print);
	__type(value, struct snoop_going);
} snoop_prints SEC(".maps");

/* How many sessions were named; and was there a relay socket without an address? */
struct snoop_state {
	__u64 sessions;
	__u64 wild;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct snoop_state);
} snoop_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SNOOP_COUNTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} snoop_counts SEC(".maps");

struct snoop_packet {
	struct endpoint source, destination;
	__u32 payload; /* UDP's, from the IP header's begin */
	__u32 size;
};

/* What is too large for the stack, of one packet. */
struct snoop_scratch {
	__u32 busy;
	__u32 index; /* of the server */
	struct snoop_packet packet;
	struct stun message;
	struct snoop_pending_key key;
	struct snoop_pending pending;
	struct commit commit;
	struct snoop_learn_key learn;
	struct snoop_print print;
	struct snoop_going going;
	struct snoop_path path;
	struct snoop_question question;
	__u64 payload[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SNOOP_SCRATCH);
	__type(key, __u32);
	__type(value, struct snoop_scratch);
} snoop_scratches SEC(".maps");

static __always_inline void snoop_count(__u32 which)
{
	__u64 *counter = bpf_map_lookup_elem(&snoop_counts, &which);

	if (counter)
		__sync_fetch_and_add(counter, 1);
}

/*
 * Packets are sent in process context, where another task or an interrupt may
 * want to send on the same CPU: each takes room that nobody has.
 */
static __always_inline struct snoop_scratch *snoop_take_scratch(void)
{
	for (__u32 i = 0; i < SNOOP_SCRATCH; i++) {
		__u32 key = i;
		struct snoop_scratch *s = bpf_map_lookup_elem(&snoop_scratches, &key);

		if (s && __sync_val_compare_and_swap(&s->busy, 0, 1) == 0)
			return s;
	}
	snoop_count(SNOOP_UNREAD);
	return 0;
}

static __always_inline void snoop_give_scratch(struct snoop_scratch *s)
{
	WRITE_ONCE(s->busy, 0);
}

static __always_inline void snoop_set_wild(void)
{
	struct snoop_state *state = bpf_map_lookup_elem(&snoop_states, &zero_key);

	if (state)
		WRITE_ONCE(state->wild, 1);
}

static __always_inline int snoop_any_wild(void)
{
	struct snoop_state *state = bpf_map_lookup_elem(&snoop_states, &zero_key);

	return state && READ_ONCE(state->wild);
}

static __always_inline struct snoop_server *snoop_server(__u32 index)
{
	return bpf_map_lookup_elem(&snoop_servers, &index);
}

#endif
