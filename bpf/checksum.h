/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internet checksums (RFC 1071, RFC 1624). Sums are of 16-bit words as they
 * lie in memory, so no byte is ever swapped; a term is taken out of a sum by
 * adding its complement. The same sums come out in either byte order, swapped
 * (RFC 1071, 2 (B)).
 */
#ifndef TURNPIKE_BPF_CHECKSUM_H
#define TURNPIKE_BPF_CHECKSUM_H

#include "bpf/compiler.h"

/* Folds a sum of up to 65,536 16-bit words to 16 bits. */
static __always_inline __u16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Folds the sum of two 16-bit words. */
static __always_inline __u16 csum_fold_once(__u32 sum)
{
	return (sum & 0xffff) + (sum >> 16);
}

static __always_inline __u32 csum_u32(__be32 word)
{
	return (word & 0xffff) + (word >> 16);
}

/* A 16-byte address in two words; IPv4's zero tail adds nothing. */
static __always_inline __u32 csum_address(const __u64 *address)
{
	return csum_u32(address[0]) + csum_u32(address[0] >> 32) + csum_u32(address[1]) +
	       csum_u32(address[1] >> 32);
}

/* What is to be added to take a folded or 16-bit term out again. */
static __always_inline __u32 csum_not(__u16 term)
{
	return (__u16)~term;
}

/* A UDP checksum to send: zero means "none" on the wire (RFC 768). */
static __always_inline __u16 csum_udp(__u32 sum)
{
	__u16 check = ~csum_fold(sum);

	return check ? check : 0xffff;
}

#endif
