/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits and counters of the probes, for the kernel and for user space. */
#ifndef TURNPIKE_PROBES_PROBE_H
#define TURNPIKE_PROBES_PROBE_H

#ifndef __BPF__
#include <linux/types.h>
#endif

#define TP_PLANS	 64   /* over all servers */
#define TP_CALLS	 4096 /* probed calls under way, one a thread */

/* Attach cookie: the plan's index, and whether this is the return probe of it. */
#define TP_COOKIE_PLAN	 0xffffffffULL
#define TP_COOKIE_RETURN (1ULL << 32)

struct tp_probe_stats {
	__u64 hits;
	__u64 ns; /* spent in the program */
	__u64 failed_reads;
};

/* What is seen in the kernel; index of `seen_in_kernel`. */
enum tp_seen { TP_SEEN_SOCKET, TP_SEEN_EXIT, TP_SEEN_EXEC, TP_SEEN_CRASH, TP_SEEN };

/* What `turnpike_renew` is told: how long everything may go on without being told again. */
struct tp_renew {
	__u64 ticks; /* jiffies */
};

_Static_assert(sizeof(struct tp_probe_stats) == 24, "tp_probe_stats layout");

#endif
