/* SPDX-License-Identifier: GPL-2.0-only */
/* How often each thing was seen in the kernel. */
#ifndef TURNPIKE_PROBES_SEEN_H
#define TURNPIKE_PROBES_SEEN_H

#include "bpf/maps.bpf.h"
#include "probes/probe.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TP_SEEN);
	__type(key, __u32);
	__type(value, __u64);
} seen_in_kernel SEC(".maps");

static __always_inline void seen(__u32 what)
{
	__u64 *times = bpf_map_lookup_elem(&seen_in_kernel, &what);

	if (times)
		__sync_fetch_and_add(times, 1);
}

#endif
