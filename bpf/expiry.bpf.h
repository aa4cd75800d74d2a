/* SPDX-License-Identifier: GPL-2.0-only */
/* Ends of bindings that change, or have come, without a word from the server's code. */
#ifndef TURNPIKE_BPF_EXPIRY_H
#define TURNPIKE_BPF_EXPIRY_H

#include "bpf/commit.bpf.h"

/* Moves the end of a session's channel, if PEER still is its peer; in ns of CLOCK_MONOTONIC. */
__noinline int expiry_set(__u64 session, __u32 tgid, __u32 channel, const struct endpoint *peer,
			  __u64 expires_ns)
{
	struct tp_session_key key = {.session = session, .tgid = tgid, .channel = channel};
	__u64 *found = bpf_map_lookup_elem(&sessions, &key);
	struct tp_binding *b;
	__u32 slot;
	int same;

	if (!found || !peer)
		return 0;
	slot = handle_slot(*found);
	b = binding_at(slot);
	if (!b || !commit_lock(&b->sequence))
		return 0;
	same = b->generation == handle_generation(*found) && b->port[TP_PEER] == peer->port &&
	       same_address(b->address[TP_PEER], peer->address);
	if (same)
		commit_set_end(b, slot, expires_ns);
	seq_unlock(&b->sequence);
	return same;
}

/* Retires what is relayed in FAMILIES (bits of tp_family) of a session's allocation, in one step.
 */
__noinline int expiry_families_gone(__u64 session, __u32 tgid, __u32 families)
{
	struct tp_session_key key = {.session = session, .tgid = tgid};
	__u64 *found = bpf_map_lookup_elem(&sessions, &key);

	if (!found)
		return 0;
	commit_bump(*found, families);
	return 1;
}

/* Frees the record in SLOT, if it is in use although its binding has ended. */
__noinline int expiry_sweep(__u32 slot, __u64 now)
{
	struct tp_binding *b = binding_at(slot);
	__u32 generation, allocation;
	struct tp_epochs *e;

	if (!b)
		return 0;
	generation = READ_ONCE(b->generation);
	if (!(generation & 1) || (b->sequence & 1))
		return 0;
	allocation = b->allocation;
	e = bpf_map_lookup_elem(&epochs, &allocation);
	if (e && e->epoch[b->peer_family == AF_INET6 ? TP_V6 : TP_V4] == b->epoch &&
	    b->expires_ns > now)
		return 0;
	/* A refresh that comes now finds no binding, and makes a new one. */
	return commit_retire_handle(binding_handle(slot, generation));
}

#endif
