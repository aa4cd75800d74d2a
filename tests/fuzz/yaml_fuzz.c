// SPDX-License-Identifier: GPL-2.0-only
/* Profiles and symbol maps of any bytes: refused or taken, never a crash; what is taken is whole.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "symbols/image.h"
#include "symbols/map.h"
#include "symbols/opener.h"
#include "symbols/profile.h"
#include "symbols/symbols.h"

struct bytes {
	const uint8_t *data;
	size_t size;
};

static int open_bytes(void *context, const char *path)
{
	const struct bytes *bytes = context;
	int fd = memfd_create(path, 0);

	assert(fd >= 0 && write(fd, bytes->data, bytes->size) == (ssize_t)bytes->size);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void check(const struct symbols *symbols)
{
	for (unsigned int e = 0; e < symbols->events; e++)
		for (unsigned int p = 0; p < symbols->event[e].probes; p++) {
			const struct tp_plan *plan = &symbols->event[e].probe[p].plan;

			assert(plan->checks + plan->each <= TP_PLAN_CHECKS);
			for (int i = 0; i < TP_FIELDS; i++)
				assert(plan->field[i].count <= TP_PATH_OFFSETS &&
				       plan->field[i].base < TP_BASES);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	const struct opener opener = {.open = open_bytes, .context = &bytes};
	char text[SYMBOLS_WHY];
	const struct why why = {text, sizeof(text)};
	static struct image *image;
	struct profile *profile;
	struct symbols *symbols;

	if (!profile_load("profile", &opener, &profile, &why))
		profile_free(profile);
	if (!image)
		assert(!image_open("/proc/self/exe", &image));
	image_set_build_id(image, "dc8c6ad3723d5dadd29fc69ac7942cf304335fdc");
	image_set_opener(image, &opener);
	if (!map_read("map", image, &symbols, &why)) {
		check(symbols);
		symbols_free(symbols);
	}
	return 0;
}
