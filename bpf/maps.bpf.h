/* SPDX-License-Identifier: GPL-2.0-only */
/* The binding table's maps that the fast path needs. Observers add their own. */
#ifndef TURNPIKE_BPF_MAPS_H
#define TURNPIKE_BPF_MAPS_H

#include "bpf/compiler.h"
#include "bpf/table.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tp_config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct tp_port);
} ports SEC(".maps");

/* max_entries: two a binding, set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * TP_BINDINGS);
	__type(key, struct tp_flow4);
	__type(value, tp_handle);
} flows4 SEC(".maps");

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

/* Interfaces that packets may leave by. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct tp_device);
} devices SEC(".maps");

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

static __always_inline struct tp_config *table_config(void)
{
	return bpf_map_lookup_elem(&config, &zero_key);
}

/* Tells user space; what doesn't fit is counted, nothing depends on it. */
static __always_inline void notice(const struct tp_notice *n)
{
	if (bpf_ringbuf_output(&notices, (void *)n, sizeof(*n), 0))
		count(TP_ERROR_LOST_EVENTS);
}

#endif
