// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "src/log.h"
#include "src/paths.h"
#include "src/server.h"
#include "src/target.h"
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
	err = image_open(path, &target->image);
	if (err)
		log_error("can't read %s: %s", path, target_error(err));
	if (target->pid)
		server_close(&server);
	return err;
}

int target_open(struct target *target)
{
	struct symbols_options options;
	char why[SYMBOLS_WHY] = "";
	int err = open_image(target);

	if (err)
		return err;
	paths_symbols_options(target->symbols_dir, target->profiles_dir, &options);
	options.no_map = target->no_map;
	err = symbols_resolve(target->image, &options, &target->symbols, why);
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
