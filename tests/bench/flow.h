/* SPDX-License-Identifier: GPL-2.0-only */
/* What differs between the generator's packets. */
#ifndef TURNPIKE_TESTS_BENCH_FLOW_H
#define TURNPIKE_TESTS_BENCH_FLOW_H

#ifndef __BPF__
#include <linux/types.h>
#endif

#define BENCH_FLOWS 131072

/*
 * A frame begins like this: Ethernet, IPv4, UDP, and the first bytes of the
 * datagram. All of it, since frames come back to the generator as they were left.
 */
struct bench_flow {
	__u64 word[6];
};

/* A CPU's flows, as receive-side scaling would spread them; a single one is every CPU's. */
struct bench_share {
	__u32 begin, end, next;
};

_Static_assert(sizeof(struct bench_flow) == 48, "bench_flow layout");

#endif
