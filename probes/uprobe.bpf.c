// SPDX-License-Identifier: GPL-2.0-only
/*
 * One program for every server and every probe: it finds its plan by attach
 * cookie, fetches the plan's fields from registers and the server's memory,
 * and changes the binding table itself. No user-space step stands between the
 * server's decision and the table.
 *
 * The server's memory is untrusted and may not be resident: a failed read
 * drops the event and is counted.
 */
#include <linux/ptrace.h>
#include "bpf/compiler.h"
#include <bpf/bpf_tracing.h>
#include "bpf/commit.bpf.h"
#include "probes/fetch.bpf.h"
#include "probes/plan.h"
#include "probes/probe.h"
#include "probes/walk.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TP_PLANS);
	__type(key, __u32);
	__type(value, struct tp_plan);
} plans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TP_PLANS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tp_probe_stats);
} probe_stats SEC(".maps");

struct call_key {
	__u64 thread;
	__u64 plan;
};

/* Calls under way, for plans that run at return. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TP_CALLS);
	__type(key, struct call_key);
	__type(value, struct call);
} calls SEC(".maps");

/* Not a wildcard, loopback, multicast, or an address that means something on one link only. */
static __always_inline int is_host(const struct endpoint *end)
{
	__u8 first = end->address[0], second = end->address[0] >> 8;

	if (!end->port)
		return 0;
	if (end->family == AF_INET)
		return first && first != 127 && first < 224;
	return end->family == AF_INET6 && first && first != 0xff &&
	       !(first == 0xfe && (second & 0xc0) == 0x80);
}

/*
 * Seconds that are left by the server's own clock, which runs up to a second
 * late; the permission may end before its channel does.
 */
static __always_inline int fetch_expiry(const struct tp_plan *plan, const struct call *call,
					__u64 *ret)
{
	__u64 expires = 0, permission = 0, now = 0, lifetime = 0;

	if (fetch_number(&plan->field[TP_FIELD_LIFETIME], call, &lifetime) == FETCH_DONE) {
		*ret = bpf_ktime_get_ns() + lifetime * 1000000000ULL;
		return FETCH_DONE;
	}
	if (fetch_number(&plan->field[TP_FIELD_EXPIRES], call, &expires) != FETCH_DONE ||
	    fetch_number(&plan->field[TP_FIELD_NOW], call, &now) != FETCH_DONE)
		return FETCH_FAILED;
	if (fetch_number(&plan->field[TP_FIELD_PERMISSION_EXPIRES], call, &permission) ==
		    FETCH_DONE &&
	    permission < expires)
		expires = permission;
	*ret = bpf_ktime_get_ns() + (expires > now ? expires - now : 0) * 1000000000ULL;
	return FETCH_DONE;
}

static __noinline int fetch_commit(const struct tp_plan *plan, const struct call *call,
				   struct commit *c)
{
	__u64 channel = 0;
	int relay;

	if (fetch_number(&plan->field[TP_FIELD_SESSION], call, &c->session) != FETCH_DONE ||
	    fetch_number(&plan->field[TP_FIELD_CHANNEL], call, &channel) != FETCH_DONE ||
	    fetch_expiry(plan, call, &c->expires_ns) != FETCH_DONE)
		return FETCH_FAILED;
	c->channel = bpf_htons(channel);
	if (fetch_sockaddr(&plan->field[TP_FIELD_PEER], call, &c->end[TP_PEER]) != FETCH_DONE ||
	    fetch_sockaddr(&plan->field[TP_FIELD_CLIENT], call, &c->end[TP_CLIENT]) != FETCH_DONE ||
	    fetch_sockaddr(&plan->field[TP_FIELD_SERVER], call, &c->end[TP_SERVER]) != FETCH_DONE)
		return FETCH_FAILED;
	relay = c->end[TP_PEER].family == AF_INET6 ? TP_FIELD_RELAY_V6 : TP_FIELD_RELAY_V4;
	return fetch_sockaddr(&plan->field[relay], call, &c->end[TP_RELAY]) == FETCH_FAILED
		       ? FETCH_FAILED
		       : FETCH_DONE;
}

__noinline int on_commit(const struct tp_plan *plan, const struct call *call)
{
	struct commit c = {};
	struct tp_allocation *a;
	long allocation;
	__u32 index;

	if (!plan || !call)
		return FETCH_FAILED;
	c.tgid = plan->tgid;
	c.server = plan->server;
	if (fetch_commit(plan, call, &c) != FETCH_DONE)
		return FETCH_FAILED;
	if (!is_host(&c.end[TP_CLIENT]) || !is_host(&c.end[TP_SERVER]) ||
	    !is_host(&c.end[TP_RELAY]) || !is_host(&c.end[TP_PEER]) ||
	    c.end[TP_CLIENT].family != c.end[TP_SERVER].family ||
	    c.end[TP_RELAY].family != c.end[TP_PEER].family) {
		count(TP_REFUSED_ADDRESS);
		return FETCH_DONE;
	}
	if (plan->kind == TP_EVENT_LEARN && c.expires_ns <= bpf_ktime_get_ns())
		return FETCH_DONE;
	allocation = commit_binding(&c);
	if (allocation < 0)
		return FETCH_DONE;
	index = allocation;
	a = bpf_map_lookup_elem(&allocations, &index);
	if (a) {
		fetch_string(&plan->field[TP_FIELD_USER], call, a->user, sizeof(a->user));
		fetch_string(&plan->field[TP_FIELD_REALM], call, a->realm, sizeof(a->realm));
	}
	return FETCH_DONE;
}

__noinline int on_retire(const struct tp_plan *plan, const struct call *call)
{
	__u64 session = 0, channel = 0;

	if (!plan || !call)
		return FETCH_FAILED;
	if (fetch_number(&plan->field[TP_FIELD_SESSION], call, &session) != FETCH_DONE ||
	    fetch_number(&plan->field[TP_FIELD_CHANNEL], call, &channel) != FETCH_DONE)
		return FETCH_FAILED;
	commit_retire(session, plan->tgid, channel);
	return FETCH_DONE;
}

__noinline int on_allocation_gone(const struct tp_plan *plan, const struct call *call)
{
	__u64 session = 0;

	if (!plan || !call)
		return FETCH_FAILED;
	if (fetch_number(&plan->field[TP_FIELD_SESSION], call, &session) != FETCH_DONE)
		return FETCH_FAILED;
	commit_allocation_gone(session, plan->tgid);
	return FETCH_DONE;
}

__noinline int on_socket_closed(const struct tp_plan *plan, const struct call *call)
{
	struct endpoint local = {}, remote = {};
	struct tp_socket_key key = {};

	if (!plan || !call)
		return FETCH_FAILED;
	key.tgid = plan->tgid;
	if (fetch_sockaddr(&plan->field[TP_FIELD_LOCAL], call, &local) == FETCH_FAILED ||
	    fetch_sockaddr(&plan->field[TP_FIELD_REMOTE], call, &remote) == FETCH_FAILED)
		return FETCH_FAILED;
	__builtin_memcpy(key.local, local.address, 16);
	key.local_port = local.port;
	commit_socket_closed(&key); /* as a relay socket, which has no one remote end */
	__builtin_memcpy(key.remote, remote.address, 16);
	key.remote_port = remote.port;
	commit_socket_closed(&key);
	return FETCH_DONE;
}

static __always_inline struct tp_plan *plan_of(__u32 index)
{
	return bpf_map_lookup_elem(&plans, &index);
}

/* What an event does to one channel. */
static __always_inline int act_channel(const struct tp_plan *plan, const struct call *call)
{
	if (plan->kind == TP_EVENT_RETIRE)
		return on_retire(plan, call);
	return on_commit(plan, call);
}

static __always_inline int act(const struct tp_plan *plan, const struct call *call)
{
	switch (plan->kind) {
	case TP_EVENT_COMMIT:
	case TP_EVENT_RETIRE:
		return act_channel(plan, call);
	case TP_EVENT_ALLOCATION_GONE:
		return on_allocation_gone(plan, call);
	case TP_EVENT_SOCKET_CLOSED:
		return on_socket_closed(plan, call);
	}
	return FETCH_DONE;
}

/* Runs PLAN on the values of one call, and counts the hit and the time it took. */
static __always_inline void run_plan(const struct tp_plan *plan, struct walk *w, __u64 begin)
{
	struct tp_probe_stats *stats = bpf_map_lookup_elem(&probe_stats, &w->plan);
	int done;

	if (plan->walk.buckets) {
		done = walk_run(plan, w);
	} else {
		done = checks_hold(plan, &w->call, 0, plan->checks, 0);
		if (done == FETCH_DONE)
			done = act(plan, &w->call);
	}
	if (done == FETCH_FAILED)
		count(TP_ERROR_FAILED_READS);
	if (stats) {
		__sync_fetch_and_add(&stats->hits, 1);
		__sync_fetch_and_add(&stats->ns, bpf_ktime_get_ns() - begin);
		if (done == FETCH_FAILED)
			__sync_fetch_and_add(&stats->failed_reads, 1);
	}
}

static __always_inline void registers(struct pt_regs *ctx, struct call *call)
{
	call->value[0] = PT_REGS_PARM1(ctx);
	call->value[1] = PT_REGS_PARM2(ctx);
	call->value[2] = PT_REGS_PARM3(ctx);
	call->value[3] = PT_REGS_PARM4(ctx);
	call->value[4] = PT_REGS_PARM5(ctx);
	call->value[5] = ctx->r9; /* x86-64's sixth; bpf_tracing.h names five */
}

/* Keeps the call for its return, or takes it back then; functions of their own for their stack. */
__noinline int call_save(const struct call *call, __u32 plan)
{
	struct call_key key = {.thread = bpf_get_current_pid_tgid(), .plan = plan};
	struct call copy;

	if (!call)
		return 0;
	copy = *call; /* before Linux 6.2 a value has to lie on the stack */
	if (bpf_map_update_elem(&calls, &key, &copy, BPF_ANY))
		count(TP_ERROR_FAILED_READS);
	return 1;
}

__noinline int call_restore(struct call *call, __u32 plan)
{
	struct call_key key = {.thread = bpf_get_current_pid_tgid(), .plan = plan};
	struct call *saved = bpf_map_lookup_elem(&calls, &key);

	if (!call || !saved)
		return 0;
	*call = *saved;
	bpf_map_delete_elem(&calls, &key);
	return 1;
}

/*
 * Entry and return are one program, told apart by the cookie: it is verified
 * once. Only threads of the plan's own server count.
 */
SEC("uprobe")
int turnpike_probe(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx), begin = bpf_ktime_get_ns();
	struct walk w = {.plan = cookie & TP_COOKIE_PLAN};
	struct tp_plan *plan = plan_of(w.plan);

	if (!plan || plan->tgid != bpf_get_current_pid_tgid() >> 32)
		return 0;
	if (cookie & TP_COOKIE_RETURN) {
		if (!call_restore(&w.call, w.plan))
			return 0;
		w.call.value[TP_BASE_RETURN] = PT_REGS_RC(ctx);
	} else {
		registers(ctx, &w.call);
		if (plan->flags & TP_PLAN_AT_RETURN)
			return !call_save(&w.call, w.plan);
	}
	w.call.registers = (__u64)ctx;
	run_plan(plan, &w, begin);
	return 0;
}
