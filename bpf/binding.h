/* SPDX-License-Identifier: GPL-2.0-only */
/* What a binding's record says about itself: handles and checksum terms. */
#ifndef TURNPIKE_BPF_BINDING_H
#define TURNPIKE_BPF_BINDING_H

#include "bpf/checksum.h"
#include "bpf/table.h"

static __always_inline tp_handle binding_handle(__u32 slot, __u32 generation)
{
	return (__u64)generation << 32 | slot;
}

static __always_inline __u32 handle_slot(tp_handle handle)
{
	return (__u32)handle;
}

static __always_inline __u32 handle_generation(tp_handle handle)
{
	return handle >> 32;
}

static __always_inline __u16 binding_sum(const struct tp_binding *b, int one, int other)
{
	return csum_fold(csum_address(b->address[one]) + csum_address(b->address[other]));
}

static __always_inline __u16 binding_delta(const struct tp_binding *b, int in_source, int in_dest,
					   int out_source, int out_dest)
{
	__u32 sum = csum_not(binding_sum(b, in_source, in_dest)) +
		    binding_sum(b, out_source, out_dest);

	sum += csum_not(b->port[in_source]) + csum_not(b->port[in_dest]);
	sum += b->port[out_source] + b->port[out_dest];
	return csum_fold(sum);
}

/*
 * Fills in `pseudo` and `delta` from addresses, ports and channel.
 * pseudo: of the datagram as it comes in, without the length word.
 * delta: all that a rewrite changes but lengths, padding and ChannelData's
 * length field; the channel number is out of it upstream, in it downstream.
 */
static __always_inline void binding_set_terms(struct tp_binding *b)
{
	__u32 udp = bpf_htons(17);

	b->pseudo[TP_UP] = csum_fold(binding_sum(b, TP_CLIENT, TP_SERVER) + udp);
	b->pseudo[TP_DOWN] = csum_fold(binding_sum(b, TP_PEER, TP_RELAY) + udp);
	b->delta[TP_UP] = csum_fold(binding_delta(b, TP_CLIENT, TP_SERVER, TP_RELAY, TP_PEER) +
				    csum_not(b->channel));
	b->delta[TP_DOWN] = csum_fold(binding_delta(b, TP_PEER, TP_RELAY, TP_SERVER, TP_CLIENT) +
				      b->channel);
}

static __always_inline struct tp_flow4 binding_flow4(const struct tp_binding *b, int direction)
{
	int source = direction == TP_UP ? TP_CLIENT : TP_PEER;
	int destination = direction == TP_UP ? TP_SERVER : TP_RELAY;
	struct tp_flow4 flow = {
		.source = *(const __be32 *)b->address[source],
		.destination = *(const __be32 *)b->address[destination],
		.source_port = b->port[source],
		.destination_port = b->port[destination],
		.channel = direction == TP_UP ? b->channel : 0,
	};

	return flow;
}

#endif
