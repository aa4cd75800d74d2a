// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snooping: channel bindings learned from a server's packets, where its own
 * functions can't tell.
 *
 * Packets are looked at where the server's sockets get and send them (the hooks
 * of a control group for sockets), not on the interfaces: there a packet is
 * whole, whatever fragments, tunnels and addresses it came by, no other reaches
 * the server, and the kernel says which socket it is. An interface would show
 * forged responses, and miss requests.
 *
 * Only sockets that the server listens with count; relayed data leaves by
 * others, or behind a channel header, or within a Data indication.
 */
#include "bpf/snoop_response.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define SNOOP_PASS 1

/* Room to read the packet in, and whose it is. */
static __always_inline struct snoop_scratch *snoop_begin(__u32 index)
{
	struct snoop_scratch *s = index < TP_SERVERS ? snoop_take_scratch() : 0;

	if (s)
		s->index = index;
	return s;
}

SEC("cgroup_skb/ingress")
int turnpike_snoop_in(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	__u32 *index = bpf_map_lookup_elem(&snoop_listeners, &cookie);
	struct snoop_scratch *s = index ? snoop_begin(*index) : 0;
	int commit = 0;

	if (!s)
		return SNOOP_PASS;
	switch (snoop_read(skb, &s->packet)) {
	case SNOOP_UNREADABLE:
		snoop_mark_blind(&s->packet.source, 0);
		break;
	case SNOOP_UDP:
		switch (snoop_kind(skb, &s->packet, STUN_REQUEST)) {
		case SNOOP_METHOD:
			if (snoop_request(skb, s) && s->message.type == STUN_CHANNEL_BIND)
				snoop_ask(s);
			break;
		case SNOOP_DATA:
			commit = snoop_data(skb, s);
		}
	}
	if (commit)
		snoop_commit(s);
	snoop_give_scratch(s);
	return SNOOP_PASS;
}

/* Does the packet leave by a socket that was told to a client as its relay, but has no address? */
static __always_inline int snoop_is_wild(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	return sk && !sk->src_ip4 && bpf_sk_storage_get(&snoop_relays, sk, 0, 0);
}

SEC("cgroup_skb/egress")
int turnpike_snoop_out(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	__u32 *index = bpf_map_lookup_elem(&snoop_listeners, &cookie);
	int commit = 0, wild = !index && snoop_any_wild() && snoop_is_wild(skb);
	struct snoop_scratch *s = index || wild ? snoop_begin(index ? *index & 0xffff : 0) : 0;

	if (!s)
		return SNOOP_PASS;
	if (snoop_read(skb, &s->packet) == SNOOP_UDP) {
		if (wild)
			commit = snoop_see_source(s);
		else if (*index & SNOOP_RELAY)
			commit = snoop_relayed(skb, s);
		else if (snoop_kind(skb, &s->packet, STUN_SUCCESS) == SNOOP_METHOD)
			commit = snoop_response(skb, s);
	}
	if (commit)
		snoop_commit(s);
	snoop_give_scratch(s);
	return SNOOP_PASS;
}

/* Runs before the port can be bound again. */
SEC("cgroup/sock_release")
int turnpike_snoop_release(struct bpf_sock *sk)
{
	struct snoop_socket *mark = bpf_sk_storage_get(&snoop_relays, sk, 0, 0);
	struct tp_socket_key key = {};

	if (!mark)
		return SNOOP_PASS;
	__builtin_memcpy(key.local, mark->local, 16);
	key.local_port = mark->port;
	key.tgid = mark->tgid;
	if (commit_socket_closed(&key))
		snoop_count(SNOOP_CLOSES);
	return SNOOP_PASS;
}

/* User space has found out what a channel waited for, whose snoop_learn_key is the packet. */
SEC("tc")
int turnpike_snoop_settle(struct __sk_buff *skb)
{
	struct snoop_scratch *s = snoop_take_scratch();

	if (!s)
		return 0;
	if (!bpf_skb_load_bytes(skb, 0, &s->learn, sizeof(s->learn)) && snoop_settle(s))
		snoop_commit(s);
	snoop_give_scratch(s);
	return 0;
}

#define SNOOP_STEP 64 /* slots that are looked at in one call; so many calls are a run */

__noinline int snoop_sweep_step(__u32 first, __u64 now)
{
	int freed = 0;

	for (__u32 i = 0; i < SNOOP_STEP; i++)
		freed += expiry_sweep(first + i, now);
	return freed;
}

/*
 * User space runs it now and then, with the first slot as the packet's mark:
 * frees records whose binding has ended. Nothing waits for it; such a record
 * forwards nothing.
 */
SEC("tc")
int turnpike_snoop_sweep(struct __sk_buff *skb)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 first = skb->mark;
	int freed = 0;

	for (__u32 i = 0; i < SNOOP_STEP; i++)
		freed += snoop_sweep_step(first + i * SNOOP_STEP, now);
	if (freed)
		snoop_count(SNOOP_RETIRES);
	return freed;
}
