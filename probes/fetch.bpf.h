/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fetching a plan's fields from the registers of a call and from the server's
 * memory, which is untrusted and may not be resident.
 */
#ifndef TURNPIKE_PROBES_FETCH_H
#define TURNPIKE_PROBES_FETCH_H

#include "bpf/commit.bpf.h"
#include "probes/plan.h"

/* What paths begin with. */
struct call {
	__u64 value[8];	 /* by tp_base: argument registers at entry, return value, a walk's element
			  */
	__u64 registers; /* address of the struct pt_regs, for all others */
};

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
	__u32 base;
	__u64 at;

	if (!path || !call || !ret)
		return FETCH_FAILED;
	base = path->base;
	if (base >= TP_BASES)
		return FETCH_FAILED;
	if (base < TP_BASE_REGISTERS) {
		at = call->value[base];
	} else if (bpf_probe_read_kernel(&at, sizeof(at),
					 (void *)call->registers +
						 8 * (base - TP_BASE_REGISTERS))) {
		return FETCH_FAILED;
	}
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

static __always_inline int holds(__u32 compare, __u64 value, __u64 wanted)
{
	switch (compare) {
	case TP_EQ:
		return value == wanted;
	case TP_NE:
		return value != wanted;
	case TP_LT:
		return value < wanted;
	default:
		return value > wanted;
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

/*
 * FETCH_DONE if every check from FIRST on, COUNT of them, holds; FETCH_ABSENT if
 * one does not. What is refused is not counted if it is looked at again only.
 */
__noinline int checks_hold(const struct tp_plan *plan, const struct call *call, __u32 first,
			   __u32 many, int again)
{
	if (!plan || !call)
		return FETCH_FAILED;
	for (__u32 i = 0; i < TP_PLAN_CHECKS; i++) {
		const struct tp_check *check;
		__u64 value = 0, wanted;
		__u32 index = first +
			      i; /* the compiler must not turn it into a pointer that runs along */
		int done;

		barrier_var(index);
		if (i >= many || index >= TP_PLAN_CHECKS)
			break;
		check = &plan->check[index];
		wanted = check->value;
		done = fetch_number(&check->path, call, &value);
		if (done != FETCH_FAILED && check->other.read != TP_READ_NONE)
			done = fetch_number(&check->other, call, &wanted);
		if (done == FETCH_FAILED)
			return FETCH_FAILED;
		if (done != FETCH_DONE || !holds(check->compare, value, wanted)) {
			if (!again)
				refuse(check->refusal);
			return FETCH_ABSENT;
		}
	}
	return FETCH_DONE;
}

#endif
