/* SPDX-License-Identifier: GPL-2.0-only */
/* What a binding's record says about itself: handles and checksum terms. */
#ifndef TURNPIKE_BPF_BINDING_H
#define TURNPIKE_BPF_BINDING_H

#include "bpf/checksum.h"
#include "bpf/index.h"
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

static __always_inline __be32 binding_ipv4(const struct tp_binding *b, int end)
{
	return b->address[end]
			 [0]; /* its first four bytes: turnpike is for little-endian machines */
}

/* Source and destination as they lie in an IPv4 header. */
static __always_inline __u64 binding_addresses(const struct tp_binding *b, int source,
					       int destination)
{
	return (__u64)binding_ipv4(b, destination) << 32 | binding_ipv4(b, source);
}

/* The ends of a direction's packets as they come in, and as they leave. */
struct binding_ends {
	int in_source, in_destination, source, destination;
};

static __always_inline struct binding_ends binding_ends(int direction)
{
	const struct binding_ends up = {TP_CLIENT, TP_SERVER, TP_RELAY, TP_PEER};
	const struct binding_ends down = {TP_PEER, TP_RELAY, TP_SERVER, TP_CLIENT};

	return direction == TP_UP ? up : down;
}

static __always_inline int binding_is_v6(const struct tp_binding *b, int end)
{
	return (end == TP_CLIENT || end == TP_SERVER ? b->client_family : b->peer_family) ==
	       AF_INET6;
}

static __always_inline struct tp_flow binding_flow4(__u64 addresses, __u32 ports, __be16 channel)
{
	struct tp_flow flow = {
		.addresses = addresses,
		.ports = (__u64)channel << 32 | ports,
	};

	return flow;
}

/* SOURCE, DESTINATION: two words each, as they lie in an IPv6 header. */
static __always_inline struct tp_flow binding_flow6(const __u64 *source, const __u64 *destination,
						    __u32 ports, __be16 channel)
{
	__u64 mixed = (source[0] * INDEX_GOLDEN ^ source[1]) * INDEX_GOLDEN;
	struct tp_flow flow = {
		.addresses =
			((mixed ^ mixed >> 32 ^ destination[0]) * INDEX_GOLDEN) ^ destination[1],
		.ports = TP_FLOW_V6 | (__u64)channel << 32 | ports,
	};

	return flow;
}

/* Are these the addresses of an IPv6 flow that was found by its hash? */
static __always_inline int binding_is_from(const struct tp_binding *b, int direction,
					   const __u64 *source, const __u64 *destination)
{
	struct binding_ends ends = binding_ends(direction);
	const __u64 *from = b->address[ends.in_source], *to = b->address[ends.in_destination];

	return from[0] == source[0] && from[1] == source[1] && to[0] == destination[0] &&
	       to[1] == destination[1];
}

static __always_inline struct tp_flow binding_flow(const struct tp_binding *b, int direction)
{
	struct binding_ends ends = binding_ends(direction);
	__u32 ports = binding_ports(b->port[ends.in_source], b->port[ends.in_destination]);
	__be16 channel = direction == TP_UP ? b->channel : 0;

	if (binding_is_v6(b, ends.in_source))
		return binding_flow6(b->address[ends.in_source], b->address[ends.in_destination],
				     ports, channel);
	return binding_flow4(binding_addresses(b, ends.in_source, ends.in_destination), ports,
			     channel);
}

static __always_inline struct tp_hop_key binding_hop_key(const struct tp_binding *b, int direction)
{
	struct binding_ends ends = binding_ends(direction);
	struct tp_hop_key key = {
		.source = {b->address[ends.source][0], b->address[ends.source][1]},
		.destination = {b->address[ends.destination][0], b->address[ends.destination][1]},
		.family = binding_is_v6(b, ends.source) ? AF_INET6 : AF_INET,
	};

	return key;
}

/* Index of tp_next_hop for a pair of addresses. */
static __always_inline __u32 binding_next_hop(const struct tp_hop_key *key)
{
	__u64 mixed = (key->source[0] * INDEX_GOLDEN ^ key->source[1]) * INDEX_GOLDEN;

	mixed = (mixed ^ mixed >> 32 ^ key->destination[0]) * INDEX_GOLDEN ^ key->destination[1];
	return mixed * INDEX_GOLDEN >> 52; /* TP_NEXT_HOPS is 1 << 12 */
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
	struct binding_ends e = binding_ends(direction);
	int in_v6 = binding_is_v6(b, e.in_source), out_v6 = binding_is_v6(b, e.source);
	__u16 in = binding_sum(b, e.in_source, e.in_destination);
	__u16 out = binding_sum(b, e.source, e.destination), four = bpf_htons(4);
	__u32 sum = csum_not(in) + out + csum_not(b->port[e.in_source]) +
		    csum_not(b->port[e.in_destination]) + b->port[e.source] +
		    b->port[e.destination];

	sum += up ? csum_not(b->channel) + 2 * csum_not(four) : b->channel + 2U * four;
	t->in = binding_flow(b, direction);
	t->generation = b->generation;
	t->epoch = b->epoch;
	t->allocation = b->allocation;
	t->server = b->server;
	t->families = (in_v6 ? TP_IN_V6 : 0) | (out_v6 ? TP_OUT_V6 : 0) |
		      (binding_is_v6(b, TP_RELAY) ? TP_RELAY_V6 : 0);
	t->channel = b->channel;
	t->owner = 0;
	t->expires = expires;
	t->addresses = out_v6 ? 0 : binding_addresses(b, e.source, e.destination);
	t->ports = binding_ports(b->port[e.source], b->port[e.destination]);
	t->pseudo = csum_fold(in + bpf_htons(17));
	t->udp_delta = csum_fold(sum);
	/* 0x4000: DF */
	t->ip_delta = in_v6 ? out : csum_fold(csum_not(in) + out + bpf_htons(0x4000));
}

#endif
