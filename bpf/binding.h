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

static __always_inline struct tp_route_key binding_route_key(const struct tp_binding *b,
							     int direction)
{
	struct binding_ends ends = binding_ends(direction);
	struct tp_route_key key = {
		.source = {b->address[ends.source][0], b->address[ends.source][1]},
		.destination = {b->address[ends.destination][0], b->address[ends.destination][1]},
		.family = binding_is_v6(b, ends.source) ? AF_INET6 : AF_INET,
	};

	return key;
}

/* One's complement sum of two ends' addresses, as memory has them. */
static __always_inline __u16 binding_sum(const struct tp_binding *b, int one, int other)
{
	return csum_fold(csum_address(b->address[one]) + csum_address(b->address[other]));
}

/*
 * What a packet's checksums change by, from the sums of its addresses as it
 * comes and as it leaves. Upstream four bytes go, downstream they come: in the
 * UDP checksum that is the channel number, and the length twice (RFC 768: in the
 * pseudo header too). Not folded: up to 13 words each.
 */
struct binding_sums {
	__u32 pseudo, udp, ip; /* as in tp_terms */
};

static __always_inline struct binding_sums binding_sums(int direction, __u32 in, __u32 in_ports,
							__u32 out, __u32 out_ports, __be16 channel)
{
	__u16 four = bpf_htons(4);
	struct binding_sums sums = {.pseudo = in + bpf_htons(17)};

	in = csum_not(csum_fold(in));
	sums.ip = in + out + bpf_htons(0x4000); /* DF */
	sums.udp = in + out + csum_not(in_ports) + csum_not(in_ports >> 16) + csum_u32(out_ports);
	sums.udp +=
		direction == TP_UP ? csum_not(channel) + 2 * csum_not(four) : channel + 2U * four;
	return sums;
}

/* Fills in what IPv6 needs kept. */
static __always_inline void binding_terms(const struct tp_binding *b, int direction,
					  struct tp_terms *ret)
{
	struct binding_ends e = binding_ends(direction);
	__u16 in = binding_sum(b, e.in_source, e.in_destination);
	__u16 out = binding_sum(b, e.source, e.destination);
	struct binding_sums sums = binding_sums(
		direction, in, binding_ports(b->port[e.in_source], b->port[e.in_destination]), out,
		binding_ports(b->port[e.source], b->port[e.destination]), b->channel);

	ret->pseudo = csum_fold(sums.pseudo);
	ret->udp = csum_fold(sums.udp);
	ret->ip = binding_is_v6(b, e.in_source) ? out : csum_fold(sums.ip);
}

/* Fills in one direction's leg but for `sequence`. EXPIRES: jiffies. */
static __always_inline void binding_leg(const struct tp_binding *b, int direction, __u32 expires,
					struct tp_leg *leg)
{
	struct binding_ends e = binding_ends(direction);
	int out_v6 = binding_is_v6(b, e.source);
	struct tp_flow in = binding_flow(b, direction);

	leg->in.addresses = in.addresses;
	leg->addresses = out_v6 ? 0 : binding_addresses(b, e.source, e.destination);
	leg->ports = binding_ports(b->port[e.source], b->port[e.destination]);
	leg->expires = expires;
	leg->allocation = b->allocation;
	leg->claim = (__u16)b->epoch; /* no owner */
	leg->in.ports = in.ports | (__u64)b->channel << 32 | (out_v6 ? TP_LEG_OUT_V6 : 0) |
			(__u64)b->server << TP_LEG_SERVER_SHIFT;
}

static __always_inline int leg_out_v6(const struct tp_leg *leg)
{
	return !!(leg->in.ports & TP_LEG_OUT_V6);
}

/* Of the addresses at the relay, which the server may give up by family. */
static __always_inline int leg_relay_v6(const struct tp_leg *leg, int direction)
{
	return !!(leg->in.ports & (direction == TP_UP ? TP_LEG_OUT_V6 : TP_FLOW_V6));
}

static __always_inline __be16 leg_channel(const struct tp_leg *leg)
{
	return leg->in.ports >> 32;
}

static __always_inline int leg_is_for(const struct tp_leg *leg, int direction,
				      const struct tp_flow *flow)
{
	__u64 mask = direction == TP_UP ? TP_FLOW_UP : TP_FLOW_DOWN;

	return leg->in.addresses == flow->addresses && (leg->in.ports & mask) == flow->ports;
}

/* Index of a leg in `legs`: a direction's lie together, so that no cache holds those of the other
 * in vain. */
static __always_inline __u32 leg_index(__u32 slot, int direction, __u32 max_bindings)
{
	return direction == TP_UP ? slot : slot + max_bindings;
}

#endif
