/* SPDX-License-Identifier: GPL-2.0-only */
/* What BPF and host builds of the same code need alike. */
#ifndef TURNPIKE_BPF_COMPILER_H
#define TURNPIKE_BPF_COMPILER_H

#ifdef __BPF__
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#else
#include <linux/types.h>
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#endif
#include <bpf/bpf_endian.h>

#ifndef barrier_var
#define barrier_var(var) asm volatile("" : "+r"(var))
#endif
#ifndef barrier
#define barrier() asm volatile("" ::: "memory")
#endif

#define READ_ONCE(x)	 (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

/*
 * Words of a packet, where they lie: a compiler for BPF takes what it knows to
 * be unaligned byte by byte, which the kernels that turnpike runs on need not.
 */
#ifdef __BPF__
#define WORD(name)                                                                                 \
	static __always_inline __##name read_##name(const void *at)                                \
	{                                                                                          \
		return *(const __##name *)at;                                                      \
	}                                                                                          \
	static __always_inline void write_##name(void *at, __##name value)                         \
	{                                                                                          \
		*(__##name *)at = value;                                                           \
	}
#else
#define WORD(name)                                                                                 \
	static inline __##name read_##name(const void *at)                                         \
	{                                                                                          \
		__##name value;                                                                    \
                                                                                                   \
		__builtin_memcpy(&value, at, sizeof(value));                                       \
		return value;                                                                      \
	}                                                                                          \
	static inline void write_##name(void *at, __##name value)                                  \
	{                                                                                          \
		__builtin_memcpy(at, &value, sizeof(value));                                       \
	}
#endif
WORD(u16)
WORD(u32)
WORD(u64)
#undef WORD

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#ifndef AF_INET
#define AF_INET	 2
#define AF_INET6 10
#endif

#endif
