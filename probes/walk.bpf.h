/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A plan's walk over a session's channels in the server's memory. It runs on the
 * session's own thread, in one of the server's calls, so the table is at rest.
 *
 * The loop is a map's: bpf_for_each_map_elem() verifies its body once, and is there
 * since Linux 5.13; bpf_loop() came later. Elements go by row, buckets abreast:
 * once a row has nothing in any bucket, no further one has.
 */
#ifndef TURNPIKE_PROBES_WALK_H
#define TURNPIKE_PROBES_WALK_H

#include "probes/fetch.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8 * TP_WALK_ROWS);
	__type(key, __u32);
	__type(value, __u64);
} walk_index SEC(".maps");

/* When a session was last walked (ns); the oldest are forgotten first. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TP_BINDINGS);
	__type(key, struct tp_session_key);
	__type(value, __u64);
} walked SEC(".maps");

struct walk {
	struct call call;
	__u64 table;
	__u32 plan;
	__u32 ended; /* buckets of this row that have nothing there any more */
	int again;   /* not the first walk of this session */
	int failed;
};

/*
 * The probe program's: what an event does. Always inlined here: the kernel has eight
 * frames for calls, and commit_install() goes deep.
 */
static __always_inline int act_channel(const struct tp_plan *plan, const struct call *call);
static __always_inline struct tp_plan *plan_of(__u32 index);

/* FETCH_ABSENT: the bucket has no element there or beyond; *RET may be 0, a gap. */
__noinline int walk_element(const struct tp_walk *walk, __u64 table, __u32 index, __u64 *ret)
{
	__u64 bucket, row, count = 0, more = 0;

	if (!walk || !ret || !walk->buckets)
		return FETCH_FAILED;
	bucket = table + (__u64)(index % walk->buckets) * walk->bucket_size;
	row = index / walk->buckets;
	if (row < walk->slots) {
		*ret = bucket + walk->slot + row * walk->slot_size;
		return FETCH_DONE;
	}
	row -= walk->slots;
	if (bpf_probe_read_user(&count, sizeof(count), (void *)(bucket + walk->more_count)))
		return FETCH_FAILED;
	if (row >= count)
		return FETCH_ABSENT;
	if (bpf_probe_read_user(&more, sizeof(more), (void *)(bucket + walk->more)) ||
	    bpf_probe_read_user(ret, sizeof(*ret), (void *)(more + 8 * row)))
		return FETCH_FAILED;
	return FETCH_DONE;
}

static long walk_step(__attribute__((unused)) void *map, __u32 *key,
		      __attribute__((unused)) void *value, struct walk *w)
{
	const struct tp_plan *plan = plan_of(w->plan);
	__u32 index = *key;
	__u64 element = 0;
	int done;

	if (!plan || !plan->walk.buckets)
		return 1;
	if (index % plan->walk.buckets == 0)
		w->ended = 0;
	done = walk_element(&plan->walk, w->table, index, &element);
	if (done == FETCH_ABSENT && ++w->ended >= plan->walk.buckets)
		return 1;
	if (done == FETCH_DONE && element) {
		w->call.value[TP_BASE_EACH] = element;
		done = checks_hold(plan, &w->call, plan->checks, plan->each, w->again);
		if (done == FETCH_DONE)
			done = act_channel(plan, &w->call);
	}
	w->failed |= done == FETCH_FAILED;
	return 0;
}

enum { WALK_NOT, WALK_FIRST, WALK_AGAIN };

/*
 * Is it time to look at this session's channels? To end channels, always, if it has any. A function
 * of its own for its stack.
 */
__noinline int walk_is_due(const struct tp_plan *plan, __u64 session)
{
	struct tp_session_key key = {.session = session};
	__u64 *last, now = bpf_ktime_get_ns();

	if (!plan)
		return WALK_NOT;
	key.tgid = plan->tgid;
	if (plan->kind == TP_EVENT_RETIRE)
		return bpf_map_lookup_elem(&sessions, &key) ? WALK_FIRST : WALK_NOT;
	if (!plan->every)
		return WALK_FIRST;
	last = bpf_map_lookup_elem(&walked, &key);
	if (last && now - *last < plan->every * 1000000000ULL)
		return WALK_NOT;
	bpf_map_update_elem(&walked, &key, &now, BPF_ANY);
	return last ? WALK_AGAIN : WALK_FIRST;
}

/* W has the call: BPF's stack has no room for it twice. */
static __always_inline int walk_run(const struct tp_plan *plan, struct walk *w)
{
	__u64 session = 0;
	int due, done = fetch_number(&plan->field[TP_FIELD_SESSION], &w->call, &session);

	if (done != FETCH_DONE)
		return done;
	due = walk_is_due(plan, session);
	if (due == WALK_NOT)
		return FETCH_DONE;
	w->again = due == WALK_AGAIN;
	done = checks_hold(plan, &w->call, 0, plan->checks, w->again);
	if (done == FETCH_DONE)
		done = path_address(&plan->walk.table, &w->call, &w->table);
	if (done != FETCH_DONE)
		return done;
	if (bpf_for_each_map_elem(&walk_index, walk_step, w, 0) == 8 * TP_WALK_ROWS)
		count(TP_ERROR_LOST_EVENTS);
	return w->failed ? FETCH_FAILED : FETCH_DONE;
}

#endif
