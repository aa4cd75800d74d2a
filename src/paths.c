// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "src/paths.h"
#include "symbols/symbols.h"

#define PATHS_ADMIN	"/etc/turnpike/symbols"
#define PATHS_INSTALLED TURNPIKE_DATADIR "/symbols"

/* FOLDER of the source tree, if this program lies in that tree's build/; else NULL. */
static const char *in_tree(const char *folder, char *ret, size_t size)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (length < 0)
		return NULL;
	self[length] = '\0';
	while ((slash = strrchr(self, '/'))) {
		*slash = '\0';
		if (strcmp(slash + 1, "build"))
			continue;
		if (snprintf(ret, size, "%s/symbols/%s", self, folder) < (int)size &&
		    !access(ret, X_OK))
			return ret;
	}
	return NULL;
}

void paths_symbols_options(const char *symbols_dir, const char *profiles_dir,
			   struct symbols_options *ret)
{
	static char builds[PATH_MAX], profiles[PATH_MAX];

	memset(ret, 0, sizeof(*ret));
	ret->map_dir[0] = symbols_dir;
	ret->map_dir[1] = PATHS_ADMIN;
	ret->map_dir[2] = in_tree("builds", builds, sizeof(builds));
	ret->map_dir[3] = PATHS_INSTALLED "/builds";
	ret->profile_dir[0] = profiles_dir;
	if (profiles_dir)
		return;
	ret->profile_dir[1] = in_tree("profiles", profiles, sizeof(profiles));
	ret->profile_dir[2] = PATHS_INSTALLED "/profiles";
}

int paths_check(const char *directory)
{
	DIR *opened = opendir(directory);

	if (!opened)
		return -errno;
	closedir(opened);
	return 0;
}
