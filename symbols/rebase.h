/* SPDX-License-Identifier: GPL-2.0-only */
/* What rebase*.c share. */
#ifndef TURNPIKE_SYMBOLS_REBASE_H
#define TURNPIKE_SYMBOLS_REBASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "symbols/symbols.h"
#include "symbols/why.h"

/* ModRM of an operand at rip + disp32. */
bool rebase_is_relative(uint8_t modrm);
/* The bytes from FIRST to LAST, which differ, lie in the four that follow a byte that IS. */
bool rebase_follows(const uint8_t *code, size_t first, size_t last, bool (*is)(uint8_t));

/* Moves the probes of SYMBOLS to where their functions are in TO; -EINVAL with WHY: they aren't. */
int rebase_functions(struct symbols *symbols, const struct image *from, const struct image *to,
		     const struct why *why);

#endif
