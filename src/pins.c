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
#include <bpf/bpf.h>
#include "src/pins.h"

#define PINS_BPFFS     "/sys/fs/bpf"
#define PINS_DIRECTORY PINS_BPFFS "/turnpike"
#define PINS_PATH      160

static int pins_mount(void)
{
	struct statfs fs;

	if (statfs(PINS_BPFFS, &fs))
		return -errno;
	if (fs.f_type == BPF_FS_MAGIC)
		return 0;
	return mount("bpf", PINS_BPFFS, "bpf", 0, "mode=0700") ? -errno : 0;
}

static const char *pins_path(pid_t pid, const char *name, char *ret)
{
	snprintf(ret, PINS_PATH, PINS_DIRECTORY "/%d/%.*s", pid, PINS_NAME, name);
	return ret;
}

int pins_open(pid_t pid)
{
	char folder[PINS_PATH];
	int err = pins_mount();

	if (err)
		return err;
	if ((mkdir(PINS_DIRECTORY, 0700) && errno != EEXIST) ||
	    (mkdir(pins_path(pid, "", folder), 0700) && errno != EEXIST))
		return -errno;
	return 0;
}

int pins_put(pid_t pid, const char *name, int fd)
{
	char path[PINS_PATH], fresh[PINS_PATH];

	pins_path(pid, name, path);
	/* bpffs takes no dots in names. */
	pins_path(pid, "new", fresh);
	unlink(fresh);
	if (bpf_obj_pin(fd, fresh))
		return -errno;
	return rename(fresh, path) ? -errno : 0;
}

int pins_get(pid_t pid, const char *name)
{
	char path[PINS_PATH];
	int fd = bpf_obj_get(pins_path(pid, name, path));

	return fd < 0 ? -errno : fd;
}

void pins_drop(pid_t pid, const char *prefix, bool (*is_kept)(const char *name, void *data),
	       void *data)
{
	char path[PINS_PATH];
	DIR *directory = opendir(pins_path(pid, "", path));
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) || entry->d_name[0] == '.')
			continue;
		if (!is_kept || !is_kept(entry->d_name, data))
			unlink(pins_path(pid, entry->d_name, path));
	}
	closedir(directory);
}

void pins_remove(pid_t pid)
{
	char folder[PINS_PATH];

	pins_drop(pid, "interface-", NULL, NULL);
	pins_drop(pid, "", NULL, NULL);
	rmdir(pins_path(pid, "", folder));
	rmdir(PINS_DIRECTORY);
}

void pins_each(void (*each)(pid_t pid, void *data), void *data)
{
	DIR *directory = opendir(PINS_DIRECTORY);
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0)
			each(pid, data);
	}
	closedir(directory);
}
