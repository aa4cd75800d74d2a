// SPDX-License-Identifier: GPL-2.0-only
/* The `status` command: asks every running turnpike and shows its answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>
#include "src/ask.h"
#include "src/commands.h"
#include "src/log.h"
#include "src/options.h"
#include "src/status.h"

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
		printf("  %-22s0x%-7x%-22s%-22s%12.0f%12.0f%7.0fs  %s@%s\n",
		       ask_string(b, "client"), (int)ask_number(b, "channel"),
		       ask_string(b, "relay"), ask_string(b, "peer"), ask_number(up, "packets"),
		       ask_number(down, "packets"), ask_number(b, "expires_in_s"),
		       ask_string(b, "user"), ask_string(b, "realm"));
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

	printf("%s, process %.0f, build-id %s\n\n", ask_string(server, "exe"),
	       ask_number(server, "pid"), ask_string(server, "build_id"));
	cJSON_ArrayForEach(item, cJSON_GetObjectItem(server, "observers"))
		printf("  %-17s%-8s%-40s%8.0f hits%8.0f failed reads\n", ask_string(item, "event"),
		       ask_string(item, "source"), ask_string(item, "function"),
		       ask_number(item, "hits"), ask_number(item, "failed_reads"));
	cJSON_ArrayForEach(item, cJSON_GetObjectItem(server, "interfaces"))
		printf("  %-17s%s\n", ask_string(item, "name"), ask_string(item, "hook"));
	printf("  %-17s%.1f MiB\n", "memory", ask_number(server, "memory_bytes") / (1 << 20));
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
