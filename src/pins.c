// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>
#include <bpf/libbpf.h>
#include "src/pins.h"

#define PINS_BPFFS     "/sys/fs/bpf"
#define PINS_DIRECTORY PINS_BPFFS "/turnpike"
#define PINS_PATH      128

static int pins_mount(void)
{
	struct statfs fs;

	if (statfs(PINS_BPFFS, &fs))
		return -errno;
	if (fs.f_type == BPF_FS_MAGIC)
		return 0;
	return mount("bpf", PINS_BPFFS, "bpf", 0, "mode=0700") ? -errno : 0;
}

static const char *pins_folder(pid_t pid, char *ret)
{
	snprintf(ret, PINS_PATH, PINS_DIRECTORY "/%d", pid);
	return ret;
}

int pins_make(struct bpf_object *object, pid_t pid)
{
	char folder[PINS_PATH], path[2 * PINS_PATH];
	struct bpf_map *map;
	int err = pins_mount();

	if (err)
		return err;
	pins_remove(pid);
	if ((mkdir(PINS_DIRECTORY, 0700) && errno != EEXIST) ||
	    mkdir(pins_folder(pid, folder), 0700))
		return -errno;
	bpf_object__for_each_map(map, object)
	{
		if (bpf_map__is_internal(map))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, bpf_map__name(map));
		err = bpf_map__pin(map, path);
		if (err)
			return err;
	}
	return 0;
}

void pins_remove(pid_t pid)
{
	char folder[PINS_PATH], path[2 * PINS_PATH + 1];
	DIR *directory = opendir(pins_folder(pid, folder));
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		snprintf(path, sizeof(path), "%s/%.*s", folder, PINS_PATH, entry->d_name);
		unlink(path); /* "." and ".." can't be */
	}
	closedir(directory);
	rmdir(folder);
	rmdir(PINS_DIRECTORY);
}

void pins_sweep(bool (*is_served)(pid_t pid))
{
	DIR *directory = opendir(PINS_DIRECTORY);
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0 && !is_served(pid))
			pins_remove(pid);
	}
	closedir(directory);
}
