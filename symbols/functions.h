/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a program's functions begin and end, stripped or not: by its unwind tables. */
#ifndef TURNPIKE_SYMBOLS_FUNCTIONS_H
#define TURNPIKE_SYMBOLS_FUNCTIONS_H

#include <stddef.h>
#include <stdint.h>

struct image;

struct function_range {
	uint64_t address, size;
};

/* In order of their addresses; the caller frees *RET. -ENODATA: there are no such tables. */
int functions_of(const struct image *image, struct function_range **ret, size_t *ret_count);

#endif
