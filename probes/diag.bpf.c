// SPDX-License-Identifier: GPL-2.0-only
/* Closed UDP sockets, told by sock_diag to user space, which runs this: the last resort. */
#include "bpf/compiler.h"
#include "probes/socket.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("syscall")
int turnpike_closed(struct tp_socket_key *ctx)
{
	struct tp_socket_key key = *ctx;

	socket_unmap(key.local);
	socket_unmap(key.remote);
	return socket_closed(&key);
}
