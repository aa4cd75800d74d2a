/* SPDX-License-Identifier: GPL-2.0-only */
/* Which of a function's first instructions to stop at. */
#ifndef TURNPIKE_SYMBOLS_ENTRY_H
#define TURNPIKE_SYMBOLS_ENTRY_H

#include <stdint.h>

struct image;

/*
 * The first instruction from ADDRESS on, a function's entry, that comes after nothing but ENDBR64
 * and TEST of registers: arguments and stack are there as they were at the entry. The kernel
 * (arch/x86/kernel/uprobes.c) emulates the pushes and jumps that mostly follow, where it had to
 * step through these, which costs two exceptions more: 2 us, or 25 in a virtual machine that
 * intercepts them.
 */
uint64_t entry_stop(const struct image *image, uint64_t address);

#endif
