// SPDX-License-Identifier: GPL-2.0-only
/* What the bench needs: a generator, a bare redirect and a program that does nothing. */
#include "bpf/compiler.h"
#include "tests/bench/flow.h"
#include <linux/if_ether.h>

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 target;		     /* interface that generator and redirect send to */
const volatile __u64 begin[BENCH_BEGIN / 8]; /* of each of the generator's frames */
const volatile __u32 flow_at;		     /* BENCH_AT4 or BENCH_AT6 */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BENCH_FLOWS);
	__type(key, __u32);
	__type(value, struct bench_flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_share);
} shares SEC(".maps");

static __always_inline struct bench_flow *next_flow(void)
{
	__u32 key = 0, index;
	struct bench_share *share = bpf_map_lookup_elem(&shares, &key);

	if (!share)
		return NULL;
	index = share->next;
	share->next = index + 1 < share->end ? index + 1 : share->begin;
	return bpf_map_lookup_elem(&flows, &index);
}

/* Turns the frame into one of the next flow's and sends it. */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct bench_flow *flow = next_flow();

	if (!flow || data + BENCH_BEGIN > end)
		return XDP_DROP;
	for (int i = 0; i < BENCH_AT4 / 8; i++)
		write_u64(data + 8 * i, begin[i]);
	data += BENCH_AT4;
	if (flow_at == BENCH_AT6) {
		write_u64(data, begin[4]);
		write_u64(data + 8, begin[5]);
		write_u64(data + 32, begin[8]); /* behind the flow: the channel's length */
		data += BENCH_AT6 - BENCH_AT4;
	}
	write_u64(data, flow->word[0]);
	write_u64(data + 8, flow->word[1]);
	return bpf_redirect(target, 0);
}

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect(target, 0);
}

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}
