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

#ifndef barrier
#define barrier() asm volatile("" ::: "memory")
#endif

#define READ_ONCE(x)	 (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#ifndef AF_INET
#define AF_INET	 2
#define AF_INET6 10
#endif

#endif
