/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Resolved symbols as bytes, from the child that read untrusted files to its parent. The
 * parent believes nothing: every number is held against its limits, texts lose their control
 * characters.
 */
#ifndef TURNPIKE_SYMBOLS_RESULT_H
#define TURNPIKE_SYMBOLS_RESULT_H

#include <stdio.h>
#include "symbols/image.h"
#include "symbols/symbols.h"

#define RESULT_LARGEST (4 << 20) /* bytes */

/* What resolving came to. */
struct result {
	int err; /* 0, or negative errno and why */
	char why[SYMBOLS_WHY];
	char build_id[IMAGE_BUILD_ID_HEX]; /* "" if it isn't known */
	struct symbols *symbols;	   /* NULL on errors */
};

int result_write(const struct result *result, FILE *out);
/* -EBADMSG: not what result_write() writes. Frees nothing of RET before. */
int result_read(FILE *in, struct result *ret);

#endif
