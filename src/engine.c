// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/fastpath.skel.h"
#include "bpf/seqlock.h"
#include "probes/kernel.skel.h"
#include "probes/uprobe.skel.h"
#include "src/engine.h"

static size_t map_bytes(const struct bpf_map *map)
{
	size_t page = sysconf(_SC_PAGESIZE);
	size_t value = (bpf_map__value_size(map) + 7) & ~7UL;

	return (value * bpf_map__max_entries(map) + page - 1) & ~(page - 1);
}

static void *engine_mmap(const struct bpf_map *map)
{
	void *memory =
		mmap(NULL, map_bytes(map), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void engine_munmap(const struct bpf_map *map, void *memory)
{
	if (memory)
		munmap(memory, map_bytes(map));
}

/* libbpf's name for it begins with the object's. */
static bool map_is_bss(const struct bpf_map *map)
{
	const char *dot = strchr(bpf_map__name(map), '.');

	return bpf_map__is_internal(map) && dot && !strcmp(dot, ".bss");
}

int engine_share(const struct engine *engine, struct bpf_object *object)
{
	struct bpf_map *map, *own;
	int err;

	bpf_object__for_each_map(map, object)
	{
		own = map_is_bss(map) ? engine->uprobe->maps.bss
				      : bpf_object__find_map_by_name(engine->uprobe->obj,
								     bpf_map__name(map));
		if (!own || (bpf_map__is_internal(map) && !map_is_bss(map)))
			continue;
		err = bpf_map__reuse_fd(map, bpf_map__fd(own));
		if (err)
			return err;
	}
	return 0;
}

/* Two flows a binding, a quarter of the entries in use at most. */
static __u32 engine_buckets(const struct engine *engine)
{
	__u32 buckets = 1;

	while (buckets * TP_BUCKET < 8 * engine->max_bindings)
		buckets *= 2;
	return buckets;
}

/* Before anything is attached. */
static int engine_configure(struct engine *engine)
{
	struct tp_config *config = engine->config;

	config->magic = TP_MAGIC;
	config->hop_generation = 1;
	config->index_shift = 64 - __builtin_ctz(engine_buckets(engine));
	if (getrandom(&config->index_secret, sizeof(config->index_secret), 0) !=
	    sizeof(config->index_secret))
		return -errno;
	config->index_secret |= 1;
	return 0;
}

static int engine_size(struct engine *engine)
{
	const struct {
		struct bpf_map *map;
		__u32 times;
	} sizes[] = {
		{engine->uprobe->maps.bindings, 1},	    {engine->uprobe->maps.epochs, 1},
		{engine->uprobe->maps.allocations, 1},	    {engine->uprobe->maps.sessions, 2},
		{engine->uprobe->maps.sockets, 3},	    {engine->uprobe->maps.free_bindings, 1},
		{engine->uprobe->maps.free_allocations, 1},
	};
	struct timespec tick;
	int err;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		err = bpf_map__set_max_entries(sizes[i].map, sizes[i].times * engine->max_bindings);
		if (err)
			return err;
	}
	engine->uprobe->rodata->max_bindings = engine->max_bindings;
	/* The coarse clocks advance with the jiffies. */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick))
		return -errno;
	engine->tick_ns = tick.tv_nsec;
	engine->uprobe->rodata->tick_ns = engine->tick_ns;
	return bpf_map__set_max_entries(engine->uprobe->maps.flows, engine_buckets(engine));
}

static int engine_load_observers(struct engine *engine)
{
	int err;

	engine->uprobe = uprobe_bpf__open();
	if (!engine->uprobe)
		return -errno;
	err = engine_size(engine);
	if (!err)
		err = uprobe_bpf__load(engine->uprobe);
	if (err)
		return err;
	engine->config = &engine->uprobe->bss->shared.config;
	engine->bindings = engine_mmap(engine->uprobe->maps.bindings);
	engine->allocations = engine_mmap(engine->uprobe->maps.allocations);
	engine->stats = engine_mmap(engine->uprobe->maps.probe_stats);
	engine->flows = engine_mmap(engine->uprobe->maps.flows);
	if (!engine->flows || !engine->bindings || !engine->allocations || !engine->stats)
		return -ENOMEM;
	return engine_configure(engine);
}

int engine_load(struct engine *engine, __u32 max_bindings)
{
	int err;

	memset(engine, 0, sizeof(*engine));
	engine->max_bindings = max_bindings;
	err = engine_load_observers(engine);
	if (err)
		goto fail;
	engine->fastpath = fastpath_bpf__open();
	engine->kernel = kernel_bpf__open();
	err = engine->fastpath && engine->kernel ? 0 : -errno;
	if (!err)
		err = engine_share(engine, engine->fastpath->obj);
	if (!err)
		err = engine_share(engine, engine->kernel->obj);
	if (!err)
		err = fastpath_bpf__load(engine->fastpath);
	if (!err) {
		engine->next_hops = engine_mmap(engine->fastpath->maps.next_hops);
		err = engine->next_hops ? 0 : -ENOMEM;
	}
	if (!err)
		err = kernel_bpf__load(engine->kernel);
	if (err)
		goto fail;
	return 0;
fail:
	engine_free(engine);
	return err;
}

void engine_free(struct engine *engine)
{
	if (engine->uprobe) {
		engine_munmap(engine->uprobe->maps.bindings, engine->bindings);
		engine_munmap(engine->uprobe->maps.flows, engine->flows);
		engine_munmap(engine->uprobe->maps.allocations, engine->allocations);
		engine_munmap(engine->uprobe->maps.probe_stats, engine->stats);
	}
	if (engine->fastpath)
		engine_munmap(engine->fastpath->maps.next_hops, engine->next_hops);
	fastpath_bpf__destroy(engine->fastpath);
	kernel_bpf__destroy(engine->kernel);
	uprobe_bpf__destroy(engine->uprobe);
	memset(engine, 0, sizeof(*engine));
}

int engine_watch_exit(struct engine *engine)
{
	return kernel_bpf__attach(engine->kernel);
}

int engine_counters(const struct engine *engine, __u64 *ret)
{
	int cpus = libbpf_num_possible_cpus();
	__u32 key = 0;
	__u64 *all;
	int err = 0;

	memset(ret, 0, TP_COUNTERS * sizeof(*ret));
	all = cpus > 0 ? calloc(cpus, TP_COUNTERS * sizeof(*all)) : NULL;
	if (!all)
		return -ENOMEM;
	if (bpf_map_lookup_elem(bpf_map__fd(engine->uprobe->maps.counters), &key, all))
		err = -errno;
	for (int i = 0; !err && i < cpus * TP_COUNTERS; i++)
		ret[i % TP_COUNTERS] += all[i];
	free(all);
	return err;
}

int engine_binding(const struct engine *engine, __u32 slot, struct tp_binding *ret)
{
	const struct tp_binding *b;
	struct tp_epochs e;
	__u32 begin;

	if (slot >= engine->max_bindings)
		return 0;
	b = &engine->bindings[slot];
	if (!(READ_ONCE(b->generation) & 1))
		return 0;
	begin = seq_begin(&b->sequence);
	memcpy(ret, b, sizeof(*ret));
	if (seq_retry(&b->sequence, begin) || !(ret->generation & 1))
		return 0;
	return !bpf_map_lookup_elem(bpf_map__fd(engine->uprobe->maps.epochs), &ret->allocation,
				    &e) &&
	       e.epoch[ret->peer_family == AF_INET6 ? TP_V6 : TP_V4] == ret->epoch;
}

__u64 engine_memory(const struct engine *engine)
{
	struct bpf_map *map;
	__u64 sum = 0;

	bpf_object__for_each_map(map, engine->uprobe->obj) sum += map_bytes(map);
	return sum;
}
