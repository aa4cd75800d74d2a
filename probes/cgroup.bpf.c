// SPDX-License-Identifier: GPL-2.0-only
/* Closed UDP sockets where fentry is not to be had: as their control group sees them. */
#include "bpf/compiler.h"
#include "probes/socket.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* The context is the kernel's struct sock; by its documented members no address can be read here.
 */
SEC("cgroup/sock_release")
int turnpike_release(struct bpf_sock *ctx)
{
	if (ctx->protocol == 17)
		socket_destroyed((const struct sock *)ctx);
	return 1;
}
