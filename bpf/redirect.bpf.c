// SPDX-License-Identifier: GPL-2.0-only
/*
 * Redirected frames that are lost. XDP's verdict is final before the frame
 * reaches the other device; if that one can't take it, only these tracepoints
 * say so. All redirects on the machine pass here: those by our map are ours.
 */
#include "bpf/compiler.h"
#include <bpf/bpf_core_read.h>
#include "bpf/trouble.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Of include/linux/netdevice.h and net/net_namespace.h, only what is read here. */
struct ns_common {
	unsigned int inum;
} __attribute__((preserve_access_index));

struct net {
	struct ns_common ns;
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
} __attribute__((preserve_access_index));

__u32 devices_id[2] = {~0U,
		       ~0U}; /* of the maps of devices, as they are loaded; in .data, not .bss */
const volatile __u32 netns;  /* inode of the server's network namespace, likewise */

/* Frames lost at each of the devmap's devices. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TP_DEVICES);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

static __always_inline void lose(__u32 device, int err, __u64 frames)
{
	__u64 *sum = bpf_map_lookup_elem(&lost, &device);
	struct tp_counters *all = bpf_map_lookup_elem(&counters, &zero_key);
	__u64 before;

	if (!sum)
		return;
	if (all)
		all->count[TP_ERROR_REDIRECT] += frames;
	before = __sync_fetch_and_add(sum, frames);
	if (!(before & (before - 1))) /* at the first, and ever more rarely */
		trouble_tell(TP_TROUBLE_REDIRECT, device, -err);
}

/* TP_PROTO(dev, xdp, tgt, err, map_type, map_id, index), include/trace/events/xdp.h */
SEC("raw_tp/xdp_redirect_err")
int turnpike_redirect_err(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 map = ctx->args[5];

	if (map == devices_id[0] || map == devices_id[1])
		lose(ctx->args[6], ctx->args[3], 1);
	return 0;
}

/*
 * TP_PROTO(from_dev, to_dev, sent, drops, err): a batch at its device. Kernels
 * that don't say who can transmit XDP frames (before 6.3) tell it only here.
 */
SEC("raw_tp/xdp_devmap_xmit")
int turnpike_devmap_xmit(struct bpf_raw_tracepoint_args *ctx)
{
	const struct net_device *to = (void *)ctx->args[1];
	int err = ctx->args[4];
	struct tp_device *device;
	__u32 ifindex;

	if (err >= 0 || err == -11) /* EAGAIN: its queue is full, as any may be */
		return 0;
	if (BPF_CORE_READ(to, nd_net.net, ns.inum) != netns)
		return 0;
	ifindex = BPF_CORE_READ(to, ifindex);
	device = bpf_map_lookup_elem(&device_of, &ifindex);
	if (device)
		lose(device->index, err, (__u32)ctx->args[3]);
	return 0;
}
