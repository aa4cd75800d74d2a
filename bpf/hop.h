/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Next hops, shared by all legs whose packets leave alike, and how a leg refers
 * to one. Compiles for BPF and for the host.
 *
 * A hop is written once in a generation (tp_config.hop_generation), so who has
 * its index and the generation has the hop. A leg keeps both in one word, which
 * changes by compare-and-swap: as long as it has none it has a mark of the
 * binding's life, so that nobody gives it what was found for the life before.
 */
#ifndef TURNPIKE_BPF_HOP_H
#define TURNPIKE_BPF_HOP_H

#include "bpf/binding.h"
#include "bpf/seqlock.h"

#define HOP_NONE   (TP_HOPS - 1)
#define HOP_PROBES 8 /* places that a hop may be in */

static __always_inline __u32 hop_none(__u32 life)
{
	return life << TP_HOP_BITS | HOP_NONE;
}

static __always_inline __u32 hop_word(__u32 index, __u32 generation)
{
	return generation << TP_HOP_BITS | index;
}

static __always_inline __u32 hop_index(__u32 word)
{
	return word & (TP_HOPS - 1);
}

/* Is what the word says still so? */
static __always_inline int hop_is_of(__u32 word, __u32 generation)
{
	return word >> TP_HOP_BITS == generation && hop_index(word) != HOP_NONE;
}

static __always_inline __u64 hop_mac(const struct tp_hop *hop)
{
	return read_u32(hop->destination) | (__u64)read_u16(hop->destination + 4) << 32;
}

static __always_inline __u32 hop_place(const struct tp_hop *hop, int probe)
{
	__u64 mixed = (hop_mac(hop) << 16 ^ (__u64)hop->mtu << 8 ^ hop->ifindex) * INDEX_GOLDEN;

	return ((mixed >> (64 - TP_HOP_BITS)) + probe) & (TP_HOPS - 1);
}

static __always_inline int hop_same(const struct tp_hop *one, const struct tp_hop *other)
{
	return one->ifindex == other->ifindex && one->mtu == other->mtu &&
	       one->device == other->device && hop_mac(one) == hop_mac(other) &&
	       read_u32(one->source + 2) == read_u32(other->source + 2) &&
	       read_u16(one->source) == read_u16(other->source);
}

enum { HOP_TAKEN, HOP_HERE };

/* HOP_HERE: the place holds VALUE in its generation, from now on if not before. */
static __always_inline int hop_put(struct tp_hop *at, const struct tp_hop *value)
{
	__u32 begin = seq_begin(&at->sequence);
	int same = at->generation == value->generation && hop_same(at, value);

	if (same && !seq_retry(&at->sequence, begin))
		return HOP_HERE;
	if (READ_ONCE(at->generation) == value->generation || !seq_try_lock(&at->sequence))
		return HOP_TAKEN;
	same = at->generation == value->generation;
	if (!same) {
		at->ifindex = value->ifindex;
		at->mtu = value->mtu;
		at->device = value->device;
		__builtin_memcpy(at->destination, value->destination, 6);
		__builtin_memcpy(at->source, value->source, 6);
		at->generation = value->generation;
	}
	seq_unlock(&at->sequence);
	return same ? HOP_TAKEN : HOP_HERE;
}

/* Index of tp_route for a pair of addresses. */
static __always_inline __u32 hop_route(const struct tp_route_key *key)
{
	__u64 mixed = (key->source[0] * INDEX_GOLDEN ^ key->source[1]) * INDEX_GOLDEN;

	mixed = (mixed ^ mixed >> 32 ^ key->destination[0]) * INDEX_GOLDEN ^ key->destination[1];
	return mixed * INDEX_GOLDEN >> (64 - TP_ROUTE_BITS);
}

#endif
