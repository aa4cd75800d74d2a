/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hook that the fast path is compiled for: the same decisions at XDP, at XDP
 * with frames of several buffers (HOOK_FRAGS), and at TC (HOOK_TC).
 */
#ifndef TURNPIKE_BPF_CONTEXT_H
#define TURNPIKE_BPF_CONTEXT_H

#include "bpf/packet.h"

#ifdef HOOK_TC
#include <bpf/bpf_core_read.h>
#include <linux/pkt_cls.h>

#define CONTEXT	     struct __sk_buff
#define VERDICT_PASS TC_ACT_UNSPEC /* to whoever comes next; TC_ACT_OK would skip other filters */
#define VERDICT_DROP TC_ACT_SHOT

/* Of include/linux/skbuff.h, only what is read here. */
struct sk_buff {
	__u8 ip_summed : 2;
} __attribute__((preserve_access_index));

#define CHECKSUM_PARTIAL 3

/* Is the checksum only begun? The kernel knows; the bytes don't say for sure. */
static __always_inline enum packet_checksum context_checksum(struct __sk_buff *skb)
{
	struct sk_buff *kernel = (void *)skb;

	return BPF_CORE_READ_BITFIELD_PROBED(kernel, ip_summed) == CHECKSUM_PARTIAL ? PACKET_BEGUN
										    : PACKET_WHOLE;
}

/* Bytes of the frame. */
static __always_inline __u32 context_length(const struct __sk_buff *skb)
{
	return skb->len;
}

#else

#define CONTEXT	     struct xdp_md
#define VERDICT_PASS XDP_PASS
#define VERDICT_DROP XDP_DROP

static __always_inline enum packet_checksum context_checksum(const struct xdp_md *ctx)
{
	(void)ctx;
	return PACKET_UNTOLD;
}

static __always_inline __u64 context_length(struct xdp_md *ctx)
{
#ifdef HOOK_FRAGS
	return bpf_xdp_get_buff_len(ctx);
#else
	return (void *)(long)ctx->data_end - (void *)(long)ctx->data;
#endif
}

#endif

static __always_inline void *context_data(const CONTEXT *ctx)
{
	return (void *)(long)ctx->data;
}

/* Of what can be read directly. */
static __always_inline void *context_end(const CONTEXT *ctx)
{
	return (void *)(long)ctx->data_end;
}

#endif
