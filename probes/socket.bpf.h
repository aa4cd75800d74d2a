/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A UDP socket is being closed, said the kernel. Its port isn't free yet, so
 * what was relayed by it ends before somebody else can have it.
 */
#ifndef TURNPIKE_PROBES_SOCKET_H
#define TURNPIKE_PROBES_SOCKET_H

#include <bpf/bpf_core_read.h>
#include "bpf/commit.bpf.h"
#include "probes/seen.bpf.h"

/* Of include/linux/in6.h and include/net/sock.h, what is read here. */
struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
} __attribute__((preserve_access_index));

struct sock_common {
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
} __attribute__((preserve_access_index));

/*
 * As a relay socket, which has no one remote end; then as a client's. True if one
 * of them it was. An IPv4 address mapped into IPv6 counts as IPv4.
 */
static __always_inline int socket_closed(struct tp_socket_key *key)
{
	struct tp_socket_key relay = *key;
	int found;

	__builtin_memset(relay.remote, 0, sizeof(relay.remote));
	relay.remote_port = 0;
	found = commit_socket_closed(&relay);
	if (key->remote_port)
		found |= commit_socket_closed(key);
	if (found)
		seen(TP_SEEN_SOCKET);
	return found;
}

/* Sockets of no server are none of ours. */
static __always_inline __u32 socket_server(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	for (int i = 0; tgid && i < TP_SERVERS; i++)
		if (shared.config.live[i] == tgid)
			return tgid;
	return 0;
}

static __always_inline void socket_unmap(__u8 *address)
{
	__u32 *word = (__u32 *)address;

	if (word[0] || word[1] || word[2] != bpf_htonl(0xffff))
		return;
	word[0] = word[3];
	word[2] = word[3] = 0;
}

/* CLOSING: a socket of UDP, in the context of who closes it. */
static __always_inline int socket_destroyed(const struct sock *closing)
{
	struct tp_socket_key key = {.tgid = socket_server()};
	const struct sock_common *c = &closing->__sk_common;

	if (!key.tgid)
		return 0;
	key.local_port = bpf_htons(BPF_CORE_READ(c, skc_num));
	key.remote_port = BPF_CORE_READ(c, skc_dport);
	if (BPF_CORE_READ(c, skc_family) == AF_INET6) {
		BPF_CORE_READ_INTO(&key.local, c, skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&key.remote, c, skc_v6_daddr);
		socket_unmap(key.local);
		socket_unmap(key.remote);
	} else {
		BPF_CORE_READ_INTO((__be32 *)key.local, c, skc_rcv_saddr);
		BPF_CORE_READ_INTO((__be32 *)key.remote, c, skc_daddr);
	}
	socket_closed(&key);
	return 0;
}

#endif
