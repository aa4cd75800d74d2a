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

/* Two ports as one word, in the order in which they lie in a UDP header. */
static __always_inline __u32 binding_ports(__be16 source, __be16 destination)
{
	union {
		__be16 half[2];
		__u32 both;
	} ports = {.half = {source, destination}};

	return ports.both;
}

/* Two addresses as one word, in the order in which they lie in an IPv4 header. */
union binding_addresses {
	__be32 half[2];
	__u64 both;
};

static __always_inline __u64 binding_addresses(__be32 source, __be32 destination)
{
	union binding_addresses addresses = {.half = {source, destination}};

	return addresses.both;
}

static __always_inline __be32 addresses_source(__u64 both)
{
	union binding_addresses addresses = {.both = both};

	return addresses.half[0];
}

static __always_inline __be32 addresses_destination(__u64 both)
{
	union binding_addresses addresses = {.both = both};

	return addresses.half[1];
}

static __always_inline struct tp_flow4 binding_flow(__u64 addresses, __u32 ports, __be16 channel)
{
	struct tp_flow4 flow = {
		.addresses = addresses,
		.ports = (__u64)channel << 32 | ports,
	};

	return flow;
}

static __always_inline __be32 binding_ipv4(const struct tp_binding *b, int end)
{
	return *(const __be32 *)b->address[end];
}

static __always_inline struct tp_flow4 binding_flow4(const struct tp_binding *b, int direction)
{
	int source = direction == TP_UP ? TP_CLIENT : TP_PEER;
	int destination = direction == TP_UP ? TP_SERVER : TP_RELAY;

	return binding_flow(
		binding_addresses(binding_ipv4(b, source), binding_ipv4(b, destination)),
		binding_ports(b->port[source], b->port[destination]),
		direction == TP_UP ? b->channel : 0);
}

/* Index of tp_next_hop for a pair of addresses (Fibonacci hashing). */
static __always_inline __u32 binding_next_hop(__be32 source, __be32 destination)
{
	__u32 mixed = (source ^ (destination << 16 | destination >> 16)) * 0x9e3779b1U;

	return mixed >> 20; /* TP_NEXT_HOPS is 1 << 12 */
}

/* One's complement sum of two ends' addresses, as memory has them. */
static __always_inline __u16 binding_sum(const struct tp_binding *b, int one, int other)
{
	return csum_fold(csum_address(b->address[one]) + csum_address(b->address[other]));
}

/*
 * Fills in one direction's translation but for `sequence`. Upstream four bytes
 * go, downstream they come: in the UDP checksum that is the channel number, and
 * the length twice (RFC 768: in the pseudo header too).
 */
static __always_inline void binding_translate(const struct tp_binding *b, int direction,
					      __u64 expires, struct tp_translation *t)
{
	int up = direction == TP_UP;
	int in_source = up ? TP_CLIENT : TP_PEER, in_dest = up ? TP_SERVER : TP_RELAY;
	int out_source = up ? TP_RELAY : TP_SERVER, out_dest = up ? TP_PEER : TP_CLIENT;
	__u16 in = binding_sum(b, in_source, in_dest), out = binding_sum(b, out_source, out_dest);
	__u32 sum = csum_not(in) + out + csum_not(b->port[in_source]) + csum_not(b->port[in_dest]) +
		    b->port[out_source] + b->port[out_dest];
	__u16 four = bpf_htons(4);

	t->generation = b->generation;
	t->epoch = b->epoch;
	t->allocation = b->allocation;
	t->server = b->server;
	t->channel = b->channel;
	t->expires = expires;
	t->addresses = binding_addresses(binding_ipv4(b, out_source), binding_ipv4(b, out_dest));
	t->ports = binding_ports(b->port[out_source], b->port[out_dest]);
	sum += up ? csum_not(b->channel) + 2 * csum_not(four) : b->channel + 2U * four;
	t->pseudo = csum_fold(in + bpf_htons(17));
	t->udp_delta = csum_fold(sum);
	t->ip_delta = csum_fold(csum_not(in) + out + bpf_htons(0x4000)); /* DF */
	t->in = binding_flow4(b, direction);
	t->owner = 0;
}

#endif
