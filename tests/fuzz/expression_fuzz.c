// SPDX-License-Identifier: GPL-2.0-only
/* Expressions of any bytes, over the types of a real server (EXPRESSION_PROGRAM). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/debuginfo.h"
#include "symbols/image.h"

static struct debuginfo_function *function(void)
{
	static struct debuginfo_function *site[DEBUGINFO_SITES];
	const char *path = getenv("EXPRESSION_PROGRAM");
	struct debuginfo *info;
	unsigned int count;
	struct image *image;
	char why[256];

	if (!site[0]) {
		assert(path && !image_open(path, &image) && !debuginfo_open(image, NULL, &info));
		assert(!debuginfo_sites(info, "update_channel_lifetime", DEBUGINFO_OUT_OF_LINE,
					site, &count, why, sizeof(why)));
	}
	return site[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), why[64];
	struct tp_path path;

	assert(text);
	memcpy(text, data, size);
	text[size] = '\0';
	for (enum tp_read read = TP_READ_NONE; read <= TP_READ_STRING; read++)
		if (!debuginfo_expression(function(), text, read, &path, why, sizeof(why)))
			assert(path.base < TP_BASES && path.count <= TP_PATH_OFFSETS &&
			       path.read > TP_READ_NONE && path.read <= TP_READ_STRING);
	free(text);
	return 0;
}
