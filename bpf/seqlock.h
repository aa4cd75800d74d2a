/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sequence locks in map memory, for BPF and for user space over mmap. Readers
 * never wait: a reader that meets a writer gives up (its packet passes).
 *
 * Loads stay in order on x86 (TSO), where a compiler barrier is enough;
 * elsewhere an atomic operation that returns a value is a full barrier in
 * every BPF JIT (Documentation/bpf/standardization/instruction-set.rst).
 */
#ifndef TURNPIKE_BPF_SEQLOCK_H
#define TURNPIKE_BPF_SEQLOCK_H

#include "bpf/compiler.h"

static __always_inline void seq_read_barrier(void)
{
#if !defined(__BPF__)
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
#elif defined(__TARGET_ARCH_x86)
	barrier();
#else
	__u32 word = 0;

	__sync_fetch_and_add(&word, 1);
#endif
}

/* What was written before is seen before what is written after. WORD: any of the writer's own. */
static __always_inline void seq_write_barrier(__u32 *word)
{
#if defined(__BPF__) && defined(__TARGET_ARCH_x86)
	(void)word;
	barrier();
#else
	__sync_fetch_and_add(word, 0);
#endif
}

/* The sequence to give to seq_retry(); odd: a writer is there, don't read. */
static __always_inline __u32 seq_begin(const __u32 *sequence)
{
	__u32 begin = READ_ONCE(*sequence);

	seq_read_barrier();
	return begin;
}

/* True if what was read since seq_begin() may be torn. */
static __always_inline int seq_retry(const __u32 *sequence, __u32 begin)
{
	seq_read_barrier();
	return (begin & 1) || READ_ONCE(*sequence) != begin;
}

/* One try to become the writer. Both ways are full barriers. */
static __always_inline int seq_try_lock(__u32 *sequence)
{
	__u32 even = READ_ONCE(*sequence);

	if (even & 1)
		return 0;
	return __sync_val_compare_and_swap(sequence, even, even + 1) == even;
}

static __always_inline void seq_unlock(__u32 *sequence)
{
	__sync_fetch_and_add(sequence, 1);
}

/* For writers that must get in: readers hold nothing, writers only for a few stores. */
#define SEQ_TRIES 256
static __always_inline int seq_lock(__u32 *sequence)
{
	for (int i = 0; i < SEQ_TRIES; i++)
		if (seq_try_lock(sequence))
			return 1;
	return 0;
}

#endif
