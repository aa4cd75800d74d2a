// SPDX-License-Identifier: GPL-2.0-only
/* Closed UDP sockets, the best way: at the entry of the kernel's own functions. */
#include "bpf/compiler.h"
#include "probes/socket.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("fentry/udp_destroy_sock")
int turnpike_udp(__u64 *ctx)
{
	return socket_destroyed((struct sock *)ctx[0]);
}

SEC("fentry/udpv6_destroy_sock")
int turnpike_udpv6(__u64 *ctx)
{
	return socket_destroyed((struct sock *)ctx[0]);
}
