/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flow index: from a packet's flow to its binding's slot. Buckets of half a
 * cache line; a flow may be in either of two, so that a full one is no end.
 *
 * An entry is one word, the flow's tag and its binding's slot, and changes by
 * compare-and-swap: readers and writers on all CPUs need no lock. It proves
 * nothing; the leg that it leads to has the flow's key. Compiles for BPF and
 * for the host.
 */
#ifndef TURNPIKE_BPF_INDEX_H
#define TURNPIKE_BPF_INDEX_H

#include "bpf/compiler.h"
#include "bpf/table.h"

#define INDEX_GOLDEN 0x9e3779b97f4a7c15ULL /* 2^64 over the golden ratio: odd, no pattern */

/*
 * Where a flow belongs: the upper bits of a product with a secret factor (odd),
 * since ports and channels are a client's to choose.
 */
static __always_inline __u64 index_hash(const struct tp_flow *flow, __u64 secret)
{
	__u64 hash = flow->addresses * INDEX_GOLDEN;

	return ((hash ^ hash >> 32) + flow->ports) * secret;
}

/* What tells flows in one bucket apart: bits that its number has not; never 0. */
static __always_inline __u32 index_tag(__u64 hash)
{
	__u32 tag = hash >> 32 & ((1U << (32 - TP_SLOT_BITS)) - 1);

	return tag ? tag : 1;
}

/* Number of the first (CHOICE 0) or second bucket of 2^(64 - SHIFT). */
static __always_inline __u32 index_bucket(__u64 hash, int choice, __u32 shift)
{
	return (choice ? (hash ^ hash >> 32) * INDEX_GOLDEN : hash) >> shift;
}

static __always_inline __u32 index_entry(__u64 hash, __u32 slot)
{
	return index_tag(hash) << TP_SLOT_BITS | slot;
}

/* Slot of the first entry with the hash's tag; -1: there is none. */
static __always_inline long index_find(const struct tp_bucket *bucket, __u64 hash)
{
	__u32 tag = index_tag(hash) << TP_SLOT_BITS;

	for (int i = 0; i < TP_BUCKET; i++) {
		__u32 slot = READ_ONCE(bucket->entry[i]) ^ tag;

		if (slot < 1U << TP_SLOT_BITS) /* else the tag is another, or the entry free */
			return slot;
	}
	return -1;
}

/* Replaces an entry FROM (0: a free one) by TO (0: frees it); false if there is none. */
static __always_inline int index_replace(struct tp_bucket *bucket, __u32 from, __u32 to)
{
	for (int i = 0; i < TP_BUCKET; i++)
		if (READ_ONCE(bucket->entry[i]) == from &&
		    __sync_val_compare_and_swap(&bucket->entry[i], from, to) == from)
			return 1;
	return 0;
}

#endif
