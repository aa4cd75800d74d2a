/* SPDX-License-Identifier: GPL-2.0-only */
/* What the fast path can't do at an interface: counted there, and told to user space. */
#ifndef TURNPIKE_BPF_TROUBLE_H
#define TURNPIKE_BPF_TROUBLE_H

#include "bpf/maps.bpf.h"

static __always_inline void trouble_tell(__u32 kind, __u64 where, __u32 err)
{
	struct tp_notice n = {
		.kind = TP_NOTICE_TROUBLE,
		.handle = where,
		.channel = err,
		.direction = kind,
	};

	notice(&n);
}

/* Not inlined: nothing that goes well comes here. Not static: verified once. */
__noinline int trouble(__u32 ifindex, __u32 kind)
{
	struct tp_device *device = bpf_map_lookup_elem(&device_of, &ifindex);
	__u32 every = kind == TP_TROUBLE_PARTIAL ? TP_TROUBLE_PARTIAL_EVERY : 1, before;

	if (!device || kind >= TP_TROUBLES)
		return 0;
	before = __sync_fetch_and_add(&device->trouble[kind], 1);
	/* Every so often of what may be chance; of the rest the first, and ever more rarely. */
	if (every > 1 ? before % every == every - 1 : !(before & (before - 1)))
		trouble_tell(kind, ifindex, 0);
	return 0;
}

#endif
