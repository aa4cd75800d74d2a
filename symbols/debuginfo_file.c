// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where distributions put the DWARF that they strip off: a file named by the
 * build-id, or by .gnu_debuglink. Either must carry the same build-id. What dwz moved to
 * an alternate file is named by .gnu_debugaltlink.
 */
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "symbols/debuginfo_private.h"
#include "symbols/image.h"
#include "symbols/opener.h"

#define DEBUGINFO_FILE_ROOT "/usr/lib/debug"

static int try(const struct image *image, const char *path, struct image **ret)
{
	struct image *file;
	int err = image_open_by(path, image_opener(image), &file);

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
	const char *path = image_real_path(image), *slash = strrchr(path, '/');

	if (!slash || (size_t)(slash - path) + 2 > size)
		return -ENOENT;
	snprintf(ret, size, "%.*s", (int)(slash - path) + 1, path);
	return 0;
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

/* By the build-id, or by .gnu_debuglink, below ROOT ("": this file system). */
static int open_below(const struct image *image, const char *root, struct image **ret)
{
	const char *id = image_build_id(image);
	char path[PATH_MAX], debug[PATH_MAX];
	const char *name;
	GElf_Word crc;
	int err;

	if (snprintf(path, sizeof(path), "%s" DEBUGINFO_FILE_ROOT "/.build-id/%.2s/%s.debug", root,
		     id, id + 2) >= (int)sizeof(path))
		return -ENOENT;
	err = try(image, path, ret);
	name = err ? dwelf_elf_gnu_debuglink(image_elf(image), &crc) : NULL;
	if (!name || strchr(name, '/'))
		return err;
	snprintf(debug, sizeof(debug), "%.1024s" DEBUGINFO_FILE_ROOT, root);
	err = try_link(image, root, "", name, ret);
	if (err)
		err = try_link(image, root, ".debug/", name, ret);
	if (err)
		err = try_link(image, debug, "", name, ret);
	return err;
}

int debuginfo_file_open(const struct image *image, const struct debuginfo_files *files,
			struct image **ret)
{
	int err = -ENOENT;

	if (strlen(image_build_id(image)) < 3)
		return err;
	if (files && files->file)
		err = try(image, files->file, ret);
	if (err && files && files->root)
		err = open_below(image, files->root, ret);
	return err ? open_below(image, "", ret) : 0;
}

/* Takes "x/../" out of PATH, in words: no link is followed. */
static void straighten(char *path)
{
	char *up, *before;

	while ((up = strstr(path, "/../"))) {
		*up = '\0';
		before = strrchr(path, '/');
		memmove(before ? before : path, up + 3, strlen(up + 3) + 1);
	}
}

/* Not a program, so not an image: its ELF type is that of an object file. */
static int open_alternate(const struct image *file, const char *path, const void *id, size_t length,
			  struct debuginfo_alternate *ret)
{
	const struct opener *opener = image_opener(file);
	const void *own;

	ret->fd = opener->open(opener->context, path);
	if (ret->fd < 0)
		return ret->fd;
	ret->elf = elf_begin(ret->fd, ELF_C_READ, NULL);
	if (ret->elf && dwelf_elf_gnu_build_id(ret->elf, &own) == (ssize_t)length &&
	    !memcmp(own, id, length))
		ret->dwarf = dwarf_begin_elf(ret->elf, DWARF_C_READ, NULL);
	if (ret->dwarf)
		return 0;
	elf_end(ret->elf);
	close(ret->fd);
	return -ENOENT;
}

void debuginfo_file_alternate(const struct image *file, Dwarf *dwarf,
			      struct debuginfo_alternate *ret)
{
	const char *name, *slash = strrchr(image_path(file), '/');
	const void *id;
	char path[2 * PATH_MAX];
	ssize_t length = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &id);

	if (length <= 0)
		return;
	if (*name == '/')
		snprintf(path, sizeof(path), "%s", name);
	else
		snprintf(path, sizeof(path), "%.*s%s",
			 slash ? (int)(slash - image_path(file)) + 1 : 0, image_path(file), name);
	straighten(path);
	if (open_alternate(file, path, id, (size_t)length, ret))
		ret->missing = name;
	else
		dwarf_setalt(dwarf, ret->dwarf);
}

void debuginfo_file_alternate_close(struct debuginfo_alternate *alternate)
{
	if (!alternate->dwarf)
		return;
	dwarf_end(alternate->dwarf);
	elf_end(alternate->elf);
	close(alternate->fd);
}
