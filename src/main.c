// SPDX-License-Identifier: GPL-2.0-only
/* The list of commands: it dispatches and it is the help, so they agree. */
#include <stdio.h>
#include <string.h>
#include "src/commands.h"
#include "src/log.h"

static const struct command {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"run", run_main, "attach to a running TURN server and relay for it"},
	{"status", status_main, "what runs: servers, observers, interfaces, bindings, counters"},
	{"top", top_main, "live: bindings by rate, with user and realm"},
	{"stop", stop_main, "end what runs, and remove what killed runs have left"},
	{"resolve", resolve_main, "show where each event would be observed, and why"},
	{"map", map_main, "write the symbol map of a build that has debug information"},
	{"check", check_main, "is this machine ready for turnpike?"},
};

static void usage(FILE *out)
{
	fputs("Usage: turnpike COMMAND [OPTION...]\n\n"
	      "Relays a running TURN server's channel data in the kernel.\n\nCommands:\n",
	      out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-10s%s\n", commands[i].name, commands[i].help);
	fputs("\n`turnpike COMMAND --help` lists a command's options.\n", out);
}

int main(int argc, char **argv)
{
	log_set_level(LOG_INFO);
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("turnpike " TURNPIKE_VERSION);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].main(argc - 1, argv + 1);
	log_error("unknown command or option `%s`; `turnpike --help` lists them", argv[1]);
	return EXIT_USAGE;
}
