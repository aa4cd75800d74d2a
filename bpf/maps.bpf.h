/* SPDX-License-Identifier: GPL-2.0-only */
/* The binding table's maps that the fast path needs. Observers add their own. */
#ifndef TURNPIKE_BPF_MAPS_H
#define TURNPIKE_BPF_MAPS_H

#include "bpf/hop.h"

/* All objects have this and nothing else in .bss, which they share. */
struct tp_shared shared;

/* Set before loading, and the maps' max_entries by it. */
const volatile __u32 max_bindings = TP_BINDINGS; /* and allocations */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TP_BINDINGS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tp_bucket);
} flows SEC(".maps");

/* By leg_index(). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * TP_BINDINGS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tp_leg);
} legs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TP_BINDINGS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tp_binding);
} bindings SEC(".maps");

/* As many as bindings: at the worst every allocation has one channel. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TP_BINDINGS);
	__type(key, __u32);
	__type(value, struct tp_epochs);
} epochs SEC(".maps");

/* Programs of several buffers a frame may not share this map with others: it has another name. */
#ifdef HOOK_FRAGS
#define devices devices_frags
#endif

/* Interfaces that packets may leave by: their indexes, and what is to be known of them. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, TP_DEVICES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TP_DEVICES);
	__type(key, __u32);
	__type(value, struct tp_device);
} device_of SEC(".maps");

/* VLAN devices whose tagged packets are taken at the interface under them, to their ifindex. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TP_DEVICES);
	__type(key, struct tp_vlan);
	__type(value, __u32);
} vlans SEC(".maps");

/* The same by their ifindex: the tags that their packets get. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TP_DEVICES);
	__type(key, __u32);
	__type(value, struct tp_vlan);
} vlan_of SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TP_HOPS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tp_hop);
} hops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TP_ROUTES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tp_route);
} routes SEC(".maps");

struct tp_counters {
	__u64 count[TP_COUNTERS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tp_counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, TP_EVENTS_BYTES);
} notices SEC(".maps");

static const __u32 zero_key;

static __always_inline void count(__u32 counter)
{
	struct tp_counters *all = bpf_map_lookup_elem(&counters, &zero_key);

	if (all && counter < TP_COUNTERS)
		all->count[counter]++;
}

/* A flow's way to its binding. What is read there counts once seq_retry() says so. */
struct flow_way {
	struct tp_leg *leg;
	__u32 slot;
	__u32 sequence; /* of the leg, before anything of it was read */
};

static __always_inline struct tp_leg *leg_of(__u32 slot, int direction)
{
	__u32 index = leg_index(slot, direction, max_bindings);

	return bpf_map_lookup_elem(&legs, &index);
}

static __always_inline int flow_look(const struct tp_flow *flow, int direction, __u64 hash,
				     int choice, struct flow_way *way)
{
	__u32 number = index_bucket(hash, choice, shared.config.index_shift);
	struct tp_bucket *bucket = bpf_map_lookup_elem(&flows, &number);
	long found;

	if (!bucket)
		return 0;
	found = index_find(bucket, hash);
	if (found < 0)
		return 0;
	way->slot = found;
	way->leg = leg_of(found, direction);
	if (!way->leg)
		return 0;
	way->sequence = seq_begin(&way->leg->sequence);
	return leg_is_for(way->leg, direction, flow);
}

/* Finds the leg that this flow has in DIRECTION. It may be gone the next moment. */
static __always_inline int flow_find(const struct tp_flow *flow, int direction,
				     struct flow_way *way)
{
	__u64 hash = index_hash(flow, shared.config.index_secret);

	return flow_look(flow, direction, hash, 0, way) || flow_look(flow, direction, hash, 1, way);
}

static __always_inline struct tp_binding *binding_at(__u32 slot)
{
	return bpf_map_lookup_elem(&bindings, &slot);
}

/* As flow_find(), with IPv6's addresses, of which the flow has a hash only. */
static __always_inline int flow_find6(const struct tp_flow *flow, int direction,
				      const __u64 *source, const __u64 *destination,
				      struct flow_way *way)
{
	const struct tp_binding *b;

	if (!flow_find(flow, direction, way))
		return 0;
	b = binding_at(way->slot);
	return b && binding_is_from(b, direction, source, destination);
}

/* Tells user space; what doesn't fit is counted, nothing depends on it. */
static __always_inline void notice(const struct tp_notice *n)
{
	struct tp_notice *room = bpf_ringbuf_reserve(&notices, sizeof(*n), 0);

	if (!room) {
		count(TP_ERROR_LOST_EVENTS);
		return;
	}
	*room = *n;
	bpf_ringbuf_submit(room, 0);
}

#endif
