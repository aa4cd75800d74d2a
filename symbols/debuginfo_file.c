// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where distributions put the DWARF that they strip off: a file named by the
 * build-id, or by .gnu_debuglink. Either must carry the same build-id. What
 * dwz moved to an alternate file is found by libdw itself.
 */
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "symbols/debuginfo_private.h"
#include "symbols/image.h"

#define DEBUGINFO_FILE_ROOT "/usr/lib/debug"

static int try(const struct image *image, const char *path, struct image **ret)
{
	struct image *file;
	int err = image_open(path, &file);

	if (err)
		return -ENOENT;
	if (strcmp(image_build_id(image), image_build_id(file))) {
		image_close(file);
		return -ENOENT;
	}
	*ret = file;
	return 0;
}

/* The executable's folder, with its slash; /proc/PID/exe is followed. */
static int folder(const struct image *image, char *ret, size_t size)
{
	char *resolved = realpath(image_path(image), NULL);
	char *slash = resolved ? strrchr(resolved, '/') : NULL;
	int err = -ENOENT;

	if (slash && (size_t)(slash - resolved) + 2 <= size) {
		slash[1] = '\0';
		memcpy(ret, resolved, slash - resolved + 2);
		err = 0;
	}
	free(resolved);
	return err;
}

static int try_link(const struct image *image, const char *before, const char *after,
		    const char *name, struct image **ret)
{
	char path[2 * PATH_MAX];
	char own[PATH_MAX];

	if (folder(image, own, sizeof(own)))
		return -ENOENT;
	if (snprintf(path, sizeof(path), "%s%s%s%s", before, own, after, name) >= (int)sizeof(path))
		return -ENOENT;
	return try(image, path, ret);
}

int debuginfo_file_open(const struct image *image, struct image **ret)
{
	const char *id = image_build_id(image);
	char path[PATH_MAX];
	const char *name;
	GElf_Word crc;
	int err;

	if (strlen(id) < 3)
		return -ENOENT;
	snprintf(path, sizeof(path), DEBUGINFO_FILE_ROOT "/.build-id/%.2s/%s.debug", id, id + 2);
	err = try(image, path, ret);
	name = err ? dwelf_elf_gnu_debuglink(image_elf(image), &crc) : NULL;
	if (!name || strchr(name, '/'))
		return err;
	err = try_link(image, "", "", name, ret);
	if (err)
		err = try_link(image, "", ".debug/", name, ret);
	if (err)
		err = try_link(image, DEBUGINFO_FILE_ROOT, "", name, ret);
	return err;
}
