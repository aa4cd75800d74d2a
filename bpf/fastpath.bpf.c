// SPDX-License-Identifier: GPL-2.0-only
/* The fast path at XDP. */
#include "bpf/tagged.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("xdp")
int turnpike_tagged(struct xdp_md *ctx)
{
	return receive_tagged(ctx);
}

/* Set while loading: no program can be added that isn't of the same kind. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32)); /* by size: the kernel takes no type here */
	__array(values, int(void *));
} tagged SEC(".maps") = {.values = {(void *)&turnpike_tagged}};

SEC("xdp")
int turnpike_xdp(struct xdp_md *ctx)
{
	int verdict = receive(ctx);

	if (unlikely(verdict == TO_TAGGED)) {
		bpf_tail_call(ctx, &tagged, 0);
		return XDP_PASS;
	}
	return verdict;
}
