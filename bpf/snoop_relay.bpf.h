/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a relayed transport address, as a server tells it to its clients, to
 * the socket that has it. Behind 1:1 NAT the two differ in their address, not in
 * their port; then this machine's own addresses are tried, and only if a single
 * one fits it is believed.
 */
#ifndef TURNPIKE_BPF_SNOOP_RELAY_H
#define TURNPIKE_BPF_SNOOP_RELAY_H

#include "bpf/snoop_maps.bpf.h"

enum snoop_bound {
	SNOOP_NOT_BOUND,
	SNOOP_BOUND,	/* a socket is bound to this very address */
	SNOOP_WILDCARD, /* a socket is bound to the port on any */
};

static __always_inline struct bpf_sock *snoop_socket_at(struct __sk_buff *skb,
							const struct stun_address *a)
{
	struct bpf_sock_tuple tuple = {};

	if (a->family == AF_INET) {
		tuple.ipv4.daddr = a->address[0];
		tuple.ipv4.dport = a->port;
		return bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	__builtin_memcpy(tuple.ipv6.daddr, a->address, 16);
	tuple.ipv6.dport = a->port;
	return bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/* How is the socket bound that gets what is sent to the address? */
__noinline int snoop_bound(struct __sk_buff *skb, const struct stun_address *a)
{
	struct bpf_sock *sk;
	__u32 any;

	if (!a || !a->port)
		return SNOOP_NOT_BOUND;
	sk = snoop_socket_at(skb, a);
	if (!sk)
		return SNOOP_NOT_BOUND;
	any = sk->family == AF_INET6
		      ? !(sk->src_ip6[0] | sk->src_ip6[1] | sk->src_ip6[2] | sk->src_ip6[3])
		      : !sk->src_ip4;
	bpf_sk_release(sk);
	return any ? SNOOP_WILDCARD : SNOOP_BOUND;
}

/* Lets the closing of the socket be seen; false: there is none, or no memory. */
__noinline int snoop_watch(struct __sk_buff *skb, const struct stun_address *a, __u32 tgid)
{
	struct snoop_socket init = {.tgid = tgid}, *mark;
	struct bpf_sock *sk;

	if (!a)
		return 0;
	init.port = a->port;
	__builtin_memcpy(init.local, a->address, 16);
	sk = snoop_socket_at(skb, a);
	if (!sk)
		return 0;
	mark = bpf_sk_storage_get(&snoop_relays, sk, &init, BPF_SK_STORAGE_GET_F_CREATE);
	bpf_sk_release(sk);
	return mark != 0;
}

/*
 * Sets the address, told to a client, to the socket's own; the kind of the
 * socket is returned. Not bound: no socket was found, or more than one.
 */
static __noinline int snoop_resolve(struct __sk_buff *skb, struct stun_address *a)
{
	int kind = snoop_bound(skb, a), count = 0;
	struct stun_address candidate = *a, *own;
	__u64 address[2] = {};

	if (kind != SNOOP_NOT_BOUND)
		return kind;
	for (__u32 i = 0; i < SNOOP_ADDRESSES; i++) {
		__u32 key = i;

		own = bpf_map_lookup_elem(&snoop_addresses, &key);
		if (!own || !own->family)
			break;
		if (own->family != a->family)
			continue;
		candidate.address[0] = own->address[0];
		candidate.address[1] = own->address[1];
		if (snoop_bound(skb, &candidate) != SNOOP_BOUND)
			continue;
		address[0] = own->address[0];
		address[1] = own->address[1];
		count++;
	}
	if (count != 1)
		return SNOOP_NOT_BOUND;
	a->address[0] = address[0];
	a->address[1] = address[1];
	return SNOOP_BOUND;
}

#endif
