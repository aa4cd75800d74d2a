// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "src/log.h"
#include "src/paths.h"
#include "src/server.h"
#include "src/target.h"
#include "symbols/apart.h"
#include "symbols/image.h"
#include "symbols/symbols.h"

const char *target_error(int err)
{
	return err == -ENOEXEC ? "not an ELF program for x86-64" : strerror(-err);
}

static int open_image(struct target *target)
{
	const char *path = target->path;
	struct server server;
	char why[SYMBOLS_WHY];
	int err;

	if (target->pid) {
		err = server_open(target->pid, &server, why, sizeof(why));
		if (err) {
			log_error("%s", why);
			return err;
		}
		path = server.exe_link;
	}
	err = image_open_unread(path, &target->image);
	if (err)
		log_error("can't read %s: %s", path, target_error(err));
	if (target->pid)
		server_close(&server);
	return err;
}

static int open_other(struct target *target, struct image **ret)
{
	int err = target->same_code ? image_open_unread(target->same_code, ret) : 0;

	if (err)
		log_error("can't read %s: %s", target->same_code, target_error(err));
	return err;
}

int target_open(struct target *target)
{
	struct image *other = NULL;
	char root[64];
	struct symbols_options options;
	char why[SYMBOLS_WHY] = "";
	int err = open_image(target);

	if (err)
		return err;
	paths_symbols_options(target->symbols_dir, target->profiles_dir, &options);
	options.no_map = target->no_map;
	if (target->pid) {
		snprintf(root, sizeof(root), "/proc/%d/root", target->pid);
		options.root = root;
	}
	err = open_other(target, &other);
	if (err)
		return err;
	err = apart_resolve(target->image, other, &options, &target->symbols, why);
	image_close(other);
	if (err == -ENODATA)
		log_error("%s (build-id %s): %s; make a map with `turnpike map` from a build that "
			  "has debug information",
			  image_path(target->image), image_build_id(target->image), why);
	else if (err)
		log_error("%s", why);
	return err;
}

void target_close(struct target *target)
{
	symbols_free(target->symbols);
	image_close(target->image);
}
