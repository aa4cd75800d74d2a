// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "src/ask.h"
#include "src/status.h"

#define ASK_LARGEST (1UL << 30)

/* All that is written to FD until it is closed; NULL if it was nothing. */
static char *read_all(int fd)
{
	size_t used = 0, size = 65536;
	char *text = malloc(size), *more;
	ssize_t got;

	while (text && (got = read(fd, text + used, size - used - 1)) > 0) {
		used += got;
		if (size - used > 1)
			continue;
		more = size < ASK_LARGEST ? realloc(text, size *= 2) : NULL;
		if (!more)
			break;
		text = more;
	}
	if (text)
		text[used] = 0;
	if (used)
		return text;
	free(text);
	return NULL;
}

static cJSON *ask(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cJSON *answer = NULL;
	char *text;

	snprintf(address.sun_path, sizeof(address.sun_path), STATUS_DIRECTORY "/%.64s", name);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		text = read_all(fd);
		answer = text ? cJSON_Parse(text) : NULL;
		free(text);
	}
	if (fd >= 0)
		close(fd);
	return answer;
}

int ask_all(cJSON *servers)
{
	DIR *dir = opendir(STATUS_DIRECTORY);
	struct dirent *entry;
	cJSON *answer;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		answer = strstr(entry->d_name, ".sock") ? ask(entry->d_name) : NULL;
		if (answer)
			cJSON_AddItemToArray(servers, answer);
	}
	closedir(dir);
	return 0;
}

const char *ask_string(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));

	return text ? text : "";
}

double ask_number(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItem(object, name);

	return item ? item->valuedouble : 0;
}
