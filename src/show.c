// SPDX-License-Identifier: GPL-2.0-only
/* The `status` command: asks every running turnpike and shows its answer. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cjson/cJSON.h>
#include "src/commands.h"
#include "src/log.h"
#include "src/options.h"
#include "src/status.h"

#define SHOW_LARGEST (1UL << 30)

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
		more = size < SHOW_LARGEST ? realloc(text, size *= 2) : NULL;
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

/* A socket that nobody listens on any more was left by a killed run: passed over. */
static int ask_all(cJSON *servers)
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

static const char *string_of(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));

	return text ? text : "";
}

static double number_of(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItem(object, name);

	return item ? item->valuedouble : 0;
}

static void show_bindings(const cJSON *bindings)
{
	const cJSON *b, *up, *down;

	if (!cJSON_GetArraySize(bindings))
		return;
	printf("\n  %-22s%-9s%-22s%-22s%12s%12s%8s  %s\n", "client", "channel", "relay", "peer",
	       "up", "down", "expires", "user");
	cJSON_ArrayForEach(b, bindings)
	{
		up = cJSON_GetObjectItem(b, "upstream");
		down = cJSON_GetObjectItem(b, "downstream");
		printf("  %-22s0x%-7x%-22s%-22s%12.0f%12.0f%7.0fs  %s@%s\n", string_of(b, "client"),
		       (int)number_of(b, "channel"), string_of(b, "relay"), string_of(b, "peer"),
		       number_of(up, "packets"), number_of(down, "packets"),
		       number_of(b, "expires_in_s"), string_of(b, "user"), string_of(b, "realm"));
	}
}

static void show_counters(const cJSON *counters)
{
	const cJSON *group, *item;

	cJSON_ArrayForEach(group, counters)
	{
		printf("  %-14s", group->string);
		cJSON_ArrayForEach(item, group) if (item->valuedouble ||
						    !strcmp(group->string, "forwarded"))
			printf("  %s %.0f", item->string, item->valuedouble);
		putchar('\n');
	}
}

static void show_server(const cJSON *server)
{
	const cJSON *item;

	printf("%s, process %.0f, build-id %s\n\n", string_of(server, "exe"),
	       number_of(server, "pid"), string_of(server, "build_id"));
	cJSON_ArrayForEach(item, cJSON_GetObjectItem(server, "observers"))
		printf("  %-17s%-8s%-40s%8.0f hits%8.0f failed reads\n", string_of(item, "event"),
		       string_of(item, "source"), string_of(item, "function"),
		       number_of(item, "hits"), number_of(item, "failed_reads"));
	cJSON_ArrayForEach(item, cJSON_GetObjectItem(server, "interfaces"))
		printf("  %-17s%s\n", string_of(item, "name"), string_of(item, "hook"));
	printf("  %-17s%.1f MiB\n", "memory", number_of(server, "memory_bytes") / (1 << 20));
	show_bindings(cJSON_GetObjectItem(server, "bindings"));
	putchar('\n');
	show_counters(cJSON_GetObjectItem(server, "counters"));
}

static void show_all(const cJSON *servers)
{
	const cJSON *server;

	if (!cJSON_GetArraySize(servers))
		puts("nothing runs; `turnpike run --pid N` attaches to a server");
	cJSON_ArrayForEach(server, servers) show_server(server);
}

static const struct argp_option show_options[] = {
	{"json", 'j', NULL, 0, "for programs", 0},
	{},
};

static error_t show_parse(int key, char *argument, struct argp_state *state)
{
	bool *json = state->input;

	if (key == ARGP_KEY_ARG)
		return options_error("unexpected argument `%s`", argument);
	if (key != 'j')
		return ARGP_ERR_UNKNOWN;
	*json = true;
	return 0;
}

int status_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = show_options,
		.parser = show_parse,
		.doc = "Shows what runs: servers, observers, interfaces, bindings, counters.",
	};
	cJSON *root = cJSON_CreateObject(), *servers;
	bool json = false;
	char *text;
	int err;

	if (!options_parse(&argp, argc, argv, &json))
		return EXIT_USAGE;
	cJSON_AddStringToObject(root, "version", TURNPIKE_VERSION);
	servers = cJSON_AddArrayToObject(root, "servers");
	err = ask_all(servers);
	if (err) {
		log_error("can't read " STATUS_DIRECTORY ": %s; run as root", strerror(-err));
	} else if (json) {
		text = cJSON_Print(root);
		puts(text ? text : "{}");
		free(text);
	} else {
		show_all(servers);
	}
	cJSON_Delete(root);
	return err ? EXIT_FAILED : EXIT_DONE;
}
