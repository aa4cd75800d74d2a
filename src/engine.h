/* SPDX-License-Identifier: GPL-2.0-only */
/* The loaded programs and the binding table, as one thing. */
#ifndef TURNPIKE_SRC_ENGINE_H
#define TURNPIKE_SRC_ENGINE_H

#include <stdbool.h>
#include <sys/types.h>
#include "bpf/table.h"
#include "probes/probe.h"

struct bpf_object;

struct engine {
	struct uprobe_bpf *uprobe;
	struct fastpath_bpf *fastpath;
	struct fastpath_tc_bpf *tc;	  /* NULL: not needed yet; so is the next */
	struct fastpath_frags_bpf *frags; /* of Linux 5.18 and later */
	struct redirect_bpf *redirect;
	__u32 max_bindings;
	pid_t pid;     /* the server whose pins they are; 0: nothing is pinned */
	bool adopted;  /* the table is an earlier run's */
	__u64 tick_ns; /* a jiffy */
	/* Maps in memory; valid from engine_load() to engine_free(). */
	struct tp_config *config;
	struct tp_binding *bindings;
	struct tp_leg *legs; /* by leg_index() */
	struct tp_bucket *flows;
	struct tp_hop *hops;
	struct tp_route *routes;
	struct tp_allocation *allocations;
	struct tp_probe_stats *stats;
};

/* Loads all programs, sharing the maps; attaches nothing. Says nothing on failure. */
int engine_load(struct engine *engine, __u32 max_bindings);

/*
 * The same, with the maps pinned for server PID. If an earlier run left them there, for
 * the same process and in the same layout, they are taken over with all that is in
 * them (`adopted`); what doesn't fit is removed. -errno: nothing of it stays pinned.
 */
int engine_load_pinned(struct engine *engine, __u32 max_bindings, pid_t pid);

/* Is something pinned for PID, in this layout, and has nothing seen that process end? */
bool engine_is_alive(pid_t pid);

/* Before OBJECT is loaded: every map of it that the observers' object has too is the same. */
int engine_share(const struct engine *engine, struct bpf_object *object);

/* Lets what FD is outlive the process; nothing if the engine's maps don't. */
int engine_pin(const struct engine *engine, const char *name, int fd);

/* Load what `tc` and `frags` are for, if it isn't yet. -EOPNOTSUPP: the kernel can't. */
int engine_need_tc(struct engine *engine);
int engine_need_frags(struct engine *engine);

/* Takes everything down. Accepts a zeroed engine. */
void engine_free(struct engine *engine);

/* An interface that packets may leave by, under its index in `devices`. */
int engine_add_device(const struct engine *engine, __u32 index, __u32 ifindex);

/*
 * Attaches what watches for redirected frames that are lost, of a server in the
 * network namespace of inode NETNS; ALL if the kernel doesn't say which devices
 * can transmit XDP frames.
 */
int engine_watch_redirects(struct engine *engine, __u64 netns, bool all);

/* Frames that were redirected to a device (index in `devices`) and lost there. */
__u64 engine_lost_redirects(const struct engine *engine, __u32 device);

/* Sums the per-CPU counters into RET[TP_COUNTERS]. */
int engine_counters(const struct engine *engine, __u64 *ret);

/* Copies a live binding of SLOT; false if it is none, or is being written. */
int engine_binding(const struct engine *engine, __u32 slot, struct tp_binding *ret);

/* What a direction of a binding has relayed so far. */
struct tp_count engine_count(const struct engine *engine, __u32 slot, int direction);

/* Memory of all maps together, in bytes. */
__u64 engine_memory(const struct engine *engine);

#endif
