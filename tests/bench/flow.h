/* SPDX-License-Identifier: GPL-2.0-only */
/* What differs between the generator's packets. */
#ifndef TURNPIKE_TESTS_BENCH_FLOW_H
#define TURNPIKE_TESTS_BENCH_FLOW_H

#ifndef __BPF__
#include <linux/types.h>
#endif

#define BENCH_FLOWS 131072

/*
 * In what one flow's frames differ: ports, checksum, channel. It lies at BENCH_AT4 or
 * BENCH_AT6 of a frame; what is before it is the same for all, and written anew each
 * time, since frames come back to the generator as they were left. As little as
 * can be, for it takes room in the caches that are measured.
 */
struct bench_flow {
	__u64 word[2];
};

#define BENCH_AT4   32
#define BENCH_AT6   48

/* All that a relay may have overwritten when the frame comes back. */
#define BENCH_BEGIN 72

/* A CPU's flows, as receive-side scaling would spread them; a single one is every CPU's. */
struct bench_share {
	__u32 begin, end, next;
};

_Static_assert(sizeof(struct bench_flow) == 16, "bench_flow layout");

#endif
