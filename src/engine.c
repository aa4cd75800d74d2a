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
#include "bpf/fastpath_frags.skel.h"
#include "bpf/fastpath_tc.skel.h"
#include "bpf/redirect.skel.h"
#include "bpf/binding.h"
#include "bpf/seqlock.h"
#include "probes/uprobe.skel.h"
#include "src/engine.h"
#include "src/pins.h"

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

/* A map that is loaded already: the observers', or else the fast path's. */
static struct bpf_map *engine_map(const struct engine *engine, const struct bpf_map *map)
{
	struct bpf_map *own;

	if (map_is_bss(map))
		return engine->uprobe->maps.bss;
	own = bpf_object__find_map_by_name(engine->uprobe->obj, bpf_map__name(map));
	if (own || !engine->fastpath)
		return own;
	own = bpf_object__find_map_by_name(engine->fastpath->obj, bpf_map__name(map));
	return own && bpf_map__fd(own) >= 0 ? own : NULL;
}

int engine_share(const struct engine *engine, struct bpf_object *object)
{
	struct bpf_map *map, *own;
	int err;

	bpf_object__for_each_map(map, object)
	{
		own = engine_map(engine, map);
		if (!own || (bpf_map__is_internal(map) && !map_is_bss(map)))
			continue;
		err = bpf_map__reuse_fd(map, bpf_map__fd(own));
		if (err)
			return err;
	}
	return 0;
}

/* Two flows a binding, half of the entries in use at most. */
static __u32 engine_buckets(const struct engine *engine)
{
	__u32 buckets = 1;

	while (buckets * TP_BUCKET < 4 * engine->max_bindings)
		buckets *= 2;
	return buckets;
}

/* What outlives a run: all but what belongs to its own probes. NULL: that isn't pinned. */
static const char *engine_pin_name(const struct engine *engine, const struct bpf_map *map)
{
	const struct bpf_map *own[] = {
		engine->uprobe->maps.plans,
		engine->uprobe->maps.probe_stats,
		engine->uprobe->maps.calls,
	};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (map == own[i])
			return NULL;
	if (map_is_bss(map))
		return "shared";
	return bpf_map__is_internal(map) ? NULL : bpf_map__name(map);
}

/* Is what is pinned there a map as ours is to be? Then its descriptor. */
static int engine_pinned_map(const struct engine *engine, const struct bpf_map *map,
			     const char *name)
{
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);
	int fd = pins_get(engine->pid, name);

	if (fd < 0)
		return fd;
	if (!bpf_obj_get_info_by_fd(fd, &info, &length) && info.type == bpf_map__type(map) &&
	    info.key_size == bpf_map__key_size(map) &&
	    info.value_size == bpf_map__value_size(map) &&
	    info.max_entries == bpf_map__max_entries(map))
		return fd;
	close(fd);
	return -ESTALE;
}

bool engine_is_alive(pid_t pid)
{
	int fd = pins_get(pid, "shared");
	const struct tp_shared *memory;
	bool alive;

	memory = mmap(NULL, sizeof(memory->config), PROT_READ, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (memory == MAP_FAILED)
		return false;
	alive = memory->config.magic == TP_MAGIC && memory->config.live[0] == (__u32)pid;
	munmap((void *)memory, sizeof(memory->config));
	return alive;
}

/* Goes on with what an earlier run left in the kernel, if all of it fits; else that goes. */
static int engine_adopt(struct engine *engine)
{
	struct bpf_map *map;
	const char *name;
	int fd, err = engine_is_alive(engine->pid) ? 0 : -ESTALE;

	bpf_object__for_each_map(map, engine->uprobe->obj)
	{
		name = engine_pin_name(engine, map);
		if (err)
			break;
		if (!name)
			continue;
		fd = engine_pinned_map(engine, map, name);
		err = fd < 0 ? fd : 0;
		if (!err)
			err = bpf_map__reuse_fd(map, fd);
		if (fd >= 0)
			close(fd);
	}
	engine->adopted = !err;
	return err;
}

static int engine_pin_maps(struct engine *engine)
{
	struct bpf_map *map;
	const char *name;
	int err = 0;

	bpf_object__for_each_map(map, engine->uprobe->obj)
	{
		name = engine_pin_name(engine, map);
		if (!err && name)
			err = engine_pin(engine, name, bpf_map__fd(map));
	}
	return err;
}

int engine_pin(const struct engine *engine, const char *name, int fd)
{
	return engine->pid ? pins_put(engine->pid, name, fd) : 0;
}

/* Before anything is attached. */
static int engine_configure(struct engine *engine)
{
	struct tp_config *config = engine->config;

	config->magic = TP_MAGIC;
	config->hop_generation = 1;
	config->lease = UINT64_MAX; /* until it is renewed for the first time */
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
		{engine->uprobe->maps.bindings, 1},	    {engine->uprobe->maps.legs, 2},
		{engine->uprobe->maps.epochs, 1},	    {engine->uprobe->maps.allocations, 1},
		{engine->uprobe->maps.sessions, 2},	    {engine->uprobe->maps.sockets, 3},
		{engine->uprobe->maps.free_bindings, 1},    {engine->uprobe->maps.walked, 1},
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

static int engine_open_observers(struct engine *engine)
{
	uprobe_bpf__destroy(engine->uprobe);
	engine->uprobe = uprobe_bpf__open();
	return engine->uprobe ? engine_size(engine) : -errno;
}

static int engine_load_observers(struct engine *engine)
{
	int err = engine_open_observers(engine);

	if (!err && engine->pid && engine_adopt(engine)) {
		pins_remove(engine->pid);
		err = engine_open_observers(engine); /* some maps may be set already */
	}
	if (!err)
		err = uprobe_bpf__load(engine->uprobe);
	if (err)
		return err;
	engine->config = &engine->uprobe->bss->shared.config;
	engine->bindings = engine_mmap(engine->uprobe->maps.bindings);
	engine->allocations = engine_mmap(engine->uprobe->maps.allocations);
	engine->stats = engine_mmap(engine->uprobe->maps.probe_stats);
	engine->flows = engine_mmap(engine->uprobe->maps.flows);
	engine->legs = engine_mmap(engine->uprobe->maps.legs);
	engine->hops = engine_mmap(engine->uprobe->maps.hops);
	engine->routes = engine_mmap(engine->uprobe->maps.routes);
	if (!engine->legs || !engine->hops || !engine->routes || !engine->flows ||
	    !engine->bindings || !engine->allocations || !engine->stats)
		return -ENOMEM;
	return engine->adopted ? 0 : engine_configure(engine);
}

/* Multi-buffer XDP came with this helper, in Linux 5.18. */
static bool engine_has_frags(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_get_buff_len, NULL) == 1;
}

static int engine_load_fastpath(struct engine *engine)
{
	int err;

	engine->fastpath = fastpath_bpf__open();
	err = engine->fastpath ? engine_share(engine, engine->fastpath->obj) : -errno;
	if (err)
		return err;
	engine->fastpath->rodata->max_bindings = engine->max_bindings;
	return fastpath_bpf__load(engine->fastpath);
}

/* The same decisions for other hooks, which few machines need: loaded when the first does. */
int engine_need_tc(struct engine *engine)
{
	int err;

	if (engine->tc)
		return 0;
	engine->tc = fastpath_tc_bpf__open();
	err = engine->tc ? engine_share(engine, engine->tc->obj) : -errno;
	if (!err) {
		engine->tc->rodata->max_bindings = engine->max_bindings;
		err = fastpath_tc_bpf__load(engine->tc);
	}
	if (err) {
		fastpath_tc_bpf__destroy(engine->tc);
		engine->tc = NULL;
	}
	return err;
}

/* 0, which is no map's, on failure. */
static __u32 map_id(const struct bpf_map *map)
{
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &length) ? 0 : info.id;
}

/* What packets may leave by is a map of its own for it: devices that are there already. */
static int engine_share_devices(struct engine *engine)
{
	int from = bpf_map__fd(engine->fastpath->maps.devices);
	int to = bpf_map__fd(engine->frags->maps.devices_frags);

	for (__u32 i = 0, ifindex; i < TP_DEVICES; i++)
		if (!bpf_map_lookup_elem(from, &i, &ifindex) && ifindex &&
		    bpf_map_update_elem(to, &i, &ifindex, BPF_ANY))
			return -errno;
	if (engine->redirect)
		engine->redirect->data->devices_id[1] = map_id(engine->frags->maps.devices_frags);
	return 0;
}

int engine_need_frags(struct engine *engine)
{
	int err;

	if (engine->frags)
		return 0;
	if (!engine_has_frags())
		return -EOPNOTSUPP;
	engine->frags = fastpath_frags_bpf__open();
	err = engine->frags ? engine_share(engine, engine->frags->obj) : -errno;
	if (!err) {
		engine->frags->rodata->max_bindings = engine->max_bindings;
		err = fastpath_frags_bpf__load(engine->frags);
	}
	if (!err)
		err = engine_share_devices(engine);
	if (!err)
		err = engine_pin(engine, "tagged_frags",
				 bpf_map__fd(engine->frags->maps.tagged_frags));
	if (err) {
		fastpath_frags_bpf__destroy(engine->frags);
		engine->frags = NULL;
	}
	return err;
}

int engine_load(struct engine *engine, __u32 max_bindings)
{
	return engine_load_pinned(engine, max_bindings, 0);
}

int engine_load_pinned(struct engine *engine, __u32 max_bindings, pid_t pid)
{
	int err;

	memset(engine, 0, sizeof(*engine));
	engine->max_bindings = max_bindings;
	engine->pid = pid;
	err = engine_load_observers(engine);
	if (err)
		goto fail;
	err = engine_load_fastpath(engine);
	if (!err && pid)
		err = pins_open(pid);
	if (!err && pid && !engine->adopted)
		err = engine_pin_maps(engine);
	/* An array of programs is emptied once nobody but programs has it. */
	if (!err)
		err = engine_pin(engine, "tagged", bpf_map__fd(engine->fastpath->maps.tagged));
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
		engine_munmap(engine->uprobe->maps.legs, engine->legs);
		engine_munmap(engine->uprobe->maps.hops, engine->hops);
		engine_munmap(engine->uprobe->maps.routes, engine->routes);
		engine_munmap(engine->uprobe->maps.allocations, engine->allocations);
		engine_munmap(engine->uprobe->maps.probe_stats, engine->stats);
	}
	redirect_bpf__destroy(engine->redirect);
	fastpath_frags_bpf__destroy(engine->frags);
	fastpath_tc_bpf__destroy(engine->tc);
	fastpath_bpf__destroy(engine->fastpath);
	uprobe_bpf__destroy(engine->uprobe);
	memset(engine, 0, sizeof(*engine));
}

int engine_add_device(const struct engine *engine, __u32 index, __u32 ifindex)
{
	const struct bpf_map *maps[] = {
		engine->fastpath->maps.devices,
		engine->frags ? engine->frags->maps.devices_frags : NULL,
	};
	struct tp_device device = {.index = index};
	int device_of = bpf_map__fd(engine->fastpath->maps.device_of);

	for (size_t i = 0; i < 2; i++)
		if (maps[i] && bpf_map_update_elem(bpf_map__fd(maps[i]), &index, &ifindex, BPF_ANY))
			return -errno;
	if (bpf_map_update_elem(device_of, &ifindex, &device, BPF_NOEXIST) && errno != EEXIST)
		return -errno;
	return 0;
}

int engine_watch_redirects(struct engine *engine, __u64 netns, bool all)
{
	int err;

	engine->redirect = redirect_bpf__open();
	err = engine->redirect ? engine_share(engine, engine->redirect->obj) : -errno;
	if (err)
		return err;
	engine->redirect->data->devices_id[0] = map_id(engine->fastpath->maps.devices);
	if (engine->frags)
		engine->redirect->data->devices_id[1] = map_id(engine->frags->maps.devices_frags);
	engine->redirect->rodata->netns = netns;
	bpf_program__set_autoload(engine->redirect->progs.turnpike_devmap_xmit, all);
	err = redirect_bpf__load(engine->redirect);
	return err ? err : redirect_bpf__attach(engine->redirect);
}

__u64 engine_lost_redirects(const struct engine *engine, __u32 device)
{
	__u64 frames = 0;

	if (engine->redirect)
		bpf_map_lookup_elem(bpf_map__fd(engine->redirect->maps.lost), &device, &frames);
	return frames;
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

struct tp_count engine_count(const struct engine *engine, __u32 slot, int direction)
{
	const struct tp_leg *leg = &engine->legs[leg_index(slot, direction, engine->max_bindings)];
	const struct tp_count *shared = &engine->bindings[slot].shared[direction];

	return (struct tp_count){READ_ONCE(leg->own.packets) + READ_ONCE(shared->packets),
				 READ_ONCE(leg->own.bytes) + READ_ONCE(shared->bytes)};
}

__u64 engine_memory(const struct engine *engine)
{
	struct bpf_map *map;
	__u64 sum = 0;

	bpf_object__for_each_map(map, engine->uprobe->obj) sum += map_bytes(map);
	return sum;
}
