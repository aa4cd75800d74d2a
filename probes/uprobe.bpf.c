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
#include "probes/plan.h"
#include "probes/probe.h"

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

/* Argument registers at entry, and room for the return value. */
struct call {
	__u64 value[8];
};

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

struct user_sockaddr {
	__u16 family;
	__be16 port;
	__be32 word[6]; /* IPv4: address first; IPv6: flow information, address, scope */
};

/*
 * Functions that are not static are verified once, not once a call: that is
 * most of the time it takes to load. Their pointers may be NULL, says the verifier.
 */
enum { FETCH_FAILED = -1, FETCH_ABSENT, FETCH_DONE };

/* The address a path leads to (in *RET), or with no offsets the register's value. */
__noinline int path_address(const struct tp_path *path, const struct call *call, __u64 *ret)
{
	__u64 at;

	if (!path || !call || !ret)
		return FETCH_FAILED;
	at = call->value[path->base & 7];
	for (int i = 0; i < TP_PATH_OFFSETS; i++) {
		if (i >= path->count)
			break;
		if (i && bpf_probe_read_user(&at, sizeof(at), (void *)at))
			return FETCH_FAILED;
		if (!at)
			return FETCH_ABSENT;
		at += path->offset[i];
	}
	*ret = at;
	return FETCH_DONE;
}

__noinline int fetch_number(const struct tp_path *path, const struct call *call, __u64 *ret)
{
	__u64 address = 0, number = 0;
	int done, err = 0;

	if (!path || !call || !ret)
		return FETCH_FAILED;
	if (path->read == TP_READ_NONE)
		return FETCH_ABSENT;
	done = path_address(path, call, &address);
	if (done != FETCH_DONE)
		return done;
	if (path->count == 0)
		number = address;
	else if (path->read == TP_READ_U64)
		err = bpf_probe_read_user(&number, 8, (void *)address);
	else if (path->read == TP_READ_U32)
		err = bpf_probe_read_user(&number, 4, (void *)address);
	else if (path->read == TP_READ_U16)
		err = bpf_probe_read_user(&number, 2, (void *)address);
	else
		err = bpf_probe_read_user(&number, 1, (void *)address);
	if (path->read == TP_READ_U32)
		number = (__u32)number;
	else if (path->read == TP_READ_U16)
		number = (__u16)number;
	else if (path->read == TP_READ_U8)
		number = (__u8)number;
	*ret = number;
	return err ? FETCH_FAILED : FETCH_DONE;
}

/* An address of a family that is neither IPv4 nor IPv6 counts as absent. */
__noinline int fetch_sockaddr(const struct tp_path *path, const struct call *call,
			      struct endpoint *ret)
{
	struct user_sockaddr sa = {};
	__u64 address = 0;
	__be32 *word;
	int done;

	if (!path || !call || !ret)
		return FETCH_FAILED;
	word = (__be32 *)ret->address;
	if (path->read != TP_READ_SOCKADDR)
		return FETCH_ABSENT;
	done = path_address(path, call, &address);
	if (done != FETCH_DONE)
		return done;
	if (bpf_probe_read_user(&sa, sizeof(sa), (void *)address))
		return FETCH_FAILED;
	ret->family = sa.family;
	ret->port = sa.port;
	word[0] = sa.word[0];
	word[1] = word[2] = word[3] = 0;
	if (sa.family == AF_INET6) {
		word[0] = sa.word[1];
		word[1] = sa.word[2];
		word[2] = sa.word[3];
		word[3] = sa.word[4];
	}
	return sa.family == AF_INET || sa.family == AF_INET6 ? FETCH_DONE : FETCH_ABSENT;
}

static __always_inline void fetch_string(const struct tp_path *path, const struct call *call,
					 char *ret, __u32 size)
{
	__u64 address = 0;

	if (path->read == TP_READ_STRING && path_address(path, call, &address) == FETCH_DONE)
		bpf_probe_read_user_str(ret, size, (void *)address);
}

static __always_inline int holds(const struct tp_check *check, __u64 value)
{
	switch (check->compare) {
	case TP_EQ:
		return value == check->value;
	case TP_NE:
		return value != check->value;
	case TP_LT:
		return value < check->value;
	default:
		return value > check->value;
	}
}

/* Counted by kind, so that an operator sees how much can be offloaded at all. */
static __always_inline void refuse(__u32 refusal)
{
	__u32 counter = TP_REFUSED_TRANSPORT + refusal - TP_REFUSE_TRANSPORT;

	/* Its limit is to be tested on this very register: Linux 6.1's verifier forgets others. */
	barrier_var(counter);
	if (refusal != TP_REFUSE_NONE && refusal < TP_REFUSALS)
		count(counter);
}

/* FETCH_DONE if every check holds, FETCH_ABSENT if one does not. */
__noinline int checks_hold(const struct tp_plan *plan, const struct call *call)
{
	if (!plan || !call)
		return FETCH_FAILED;
	for (__u32 i = 0; i < TP_PLAN_CHECKS; i++) {
		const struct tp_check *check = &plan->check[i];
		__u64 value = 0;
		int done;

		if (i >= plan->checks)
			break;
		done = fetch_number(&check->path, call, &value);
		if (done == FETCH_FAILED)
			return FETCH_FAILED;
		if (done != FETCH_DONE || !holds(check, value)) {
			refuse(check->refusal);
			return FETCH_ABSENT;
		}
	}
	return FETCH_DONE;
}

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
	__u64 expires = 0, permission = 0, now = 0;

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

static __noinline int on_retire(const struct tp_plan *plan, const struct call *call)
{
	__u64 session = 0, channel = 0;

	if (fetch_number(&plan->field[TP_FIELD_SESSION], call, &session) != FETCH_DONE ||
	    fetch_number(&plan->field[TP_FIELD_CHANNEL], call, &channel) != FETCH_DONE)
		return FETCH_FAILED;
	commit_retire(session, plan->tgid, channel);
	return FETCH_DONE;
}

static __noinline int on_allocation_gone(const struct tp_plan *plan, const struct call *call)
{
	__u64 session = 0;

	if (fetch_number(&plan->field[TP_FIELD_SESSION], call, &session) != FETCH_DONE)
		return FETCH_FAILED;
	commit_allocation_gone(session, plan->tgid);
	return FETCH_DONE;
}

static __noinline int on_socket_closed(const struct tp_plan *plan, const struct call *call)
{
	struct tp_socket_key key = {.tgid = plan->tgid};
	struct endpoint local = {}, remote = {};

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

/* Runs PLAN on the values of one call, and counts the hit. */
static __always_inline void run_plan(const struct tp_plan *plan, __u32 index,
				     const struct call *call)
{
	struct tp_probe_stats *stats = bpf_map_lookup_elem(&probe_stats, &index);
	int done = checks_hold(plan, call);

	if (done == FETCH_DONE) {
		switch (plan->kind) {
		case TP_EVENT_COMMIT:
			done = on_commit(plan, call);
			break;
		case TP_EVENT_RETIRE:
			done = on_retire(plan, call);
			break;
		case TP_EVENT_ALLOCATION_GONE:
			done = on_allocation_gone(plan, call);
			break;
		case TP_EVENT_SOCKET_CLOSED:
			done = on_socket_closed(plan, call);
			break;
		}
	}
	if (done == FETCH_FAILED)
		count(TP_ERROR_FAILED_READS);
	if (stats) {
		__sync_fetch_and_add(&stats->hits, 1);
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

/* Takes what was saved when this thread entered the function. */
static __always_inline int restore(const struct call_key *key, struct call *call)
{
	struct call *saved = bpf_map_lookup_elem(&calls, key);

	if (!saved)
		return 0;
	*call = *saved;
	bpf_map_delete_elem(&calls, key);
	return 1;
}

/*
 * Entry and return are one program, told apart by the cookie: it is verified
 * once. Only threads of the plan's own server count.
 */
SEC("uprobe")
int turnpike_probe(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);
	struct call_key key = {
		.thread = bpf_get_current_pid_tgid(),
		.plan = cookie & TP_COOKIE_PLAN,
	};
	__u32 index = key.plan;
	struct tp_plan *plan = bpf_map_lookup_elem(&plans, &index);
	struct call call = {};

	if (!plan || plan->tgid != key.thread >> 32)
		return 0;
	if (cookie & TP_COOKIE_RETURN) {
		if (!restore(&key, &call))
			return 0;
		call.value[TP_BASE_RETURN] = PT_REGS_RC(ctx);
	} else {
		registers(ctx, &call);
		if (plan->flags & TP_PLAN_AT_RETURN) {
			if (bpf_map_update_elem(&calls, &key, &call, BPF_ANY))
				count(TP_ERROR_FAILED_READS);
			return 0;
		}
	}
	run_plan(plan, index, &call);
	return 0;
}
