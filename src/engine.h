/* SPDX-License-Identifier: GPL-2.0-only */
/* The loaded programs and the binding table, as one thing. */
#ifndef TURNPIKE_SRC_ENGINE_H
#define TURNPIKE_SRC_ENGINE_H

#include "bpf/table.h"
#include "probes/probe.h"

struct bpf_object;
struct bpf_program;

struct engine {
	struct uprobe_bpf *uprobe;
	struct fastpath_bpf *fastpath;
	struct kernel_bpf *kernel;
	__u32 max_bindings;
	__u64 tick_ns; /* a jiffy */
	/* Maps in memory; valid from engine_load() to engine_free(). */
	struct tp_config *config;
	struct tp_binding *bindings;
	struct tp_bucket *flows;
	struct tp_next_hop *next_hops;
	struct tp_allocation *allocations;
	struct tp_probe_stats *stats;
};

/* Loads all programs, sharing the maps; attaches nothing. Says nothing on failure. */
int engine_load(struct engine *engine, __u32 max_bindings);
/* Every map of OBJECT that ENGINE's has too is to be the same map; before OBJECT is loaded. */
int engine_share(const struct engine *engine, struct bpf_object *object);
/* Takes everything down. Accepts a zeroed engine. */
void engine_free(struct engine *engine);

/* Attaches what watches the kernel: the exit of servers in config->live. */
int engine_watch_exit(struct engine *engine);

/* Sums the per-CPU counters into RET[TP_COUNTERS]. */
int engine_counters(const struct engine *engine, __u64 *ret);

/* Copies a live binding of SLOT; false if it is none, or is being written. */
int engine_binding(const struct engine *engine, __u32 slot, struct tp_binding *ret);

/* Memory of all maps together, in bytes. */
__u64 engine_memory(const struct engine *engine);

#endif
