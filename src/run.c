// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "src/commands.h"
#include "src/log.h"
#include "src/options.h"
#include "src/supervise.h"

enum {
	OPTION_PID = 'p',
	OPTION_INTERFACE = 'i',
	OPTION_VERBOSE = 'v',
	OPTION_MODE = 256,
	OPTION_HOOK,
	OPTION_MAX_BINDINGS,
	OPTION_SYMBOLS,
	OPTION_PROFILES
};

static const struct argp_option run_options[] = {
	{"pid", OPTION_PID, "N", 0, "the server's process id", 0},
	{"interface", OPTION_INTERFACE, "IF,...", 0,
	 "attach to these only (default: those that carry the server's sockets)", 0},
	{"mode", OPTION_MODE, "auto|uprobe", 0, "how the server is observed (default: auto)", 0},
	{"hook", OPTION_HOOK, "auto|xdp|xdp-generic|tc", 0,
	 "where packets are relayed (default: auto, what suits each interface)", 0},
	{"max-bindings", OPTION_MAX_BINDINGS, "N", 0,
	 "channels at a time, 1 to 1000000 (default: 65536)", 0},
	{"symbols", OPTION_SYMBOLS, "DIR", 0, "look for symbol maps here first", 0},
	{"profiles", OPTION_PROFILES, "DIR", 0, "take server profiles from here", 0},
	{"verbose", OPTION_VERBOSE, NULL, 0, "log every channel, and libbpf's words", 0},
	{},
};

static error_t run_parse(int key, char *argument, struct argp_state *state)
{
	struct supervise_options *options = state->input;

	switch (key) {
	case OPTION_PID:
		options->pid = options_number("--pid", argument, OPTIONS_PID_MAX);
		return options->pid ? 0 : OPTIONS_SAID;
	case OPTION_INTERFACE:
		options->interfaces = argument;
		return 0;
	case OPTION_MODE:
		if (!strcmp(argument, "snoop"))
			return options_error(
				"--mode: snooping isn't there yet; use auto or uprobe");
		if (strcmp(argument, "auto") && strcmp(argument, "uprobe"))
			return options_error("--mode: `%s` is not auto or uprobe", argument);
		return 0;
	case OPTION_HOOK:
		if (!hook_parse(argument, &options->hook))
			return options_error("--hook: `%s` is not auto, xdp, xdp-generic or tc",
					     argument);
		return 0;
	case OPTION_MAX_BINDINGS:
		options->max_bindings = options_number("--max-bindings", argument, TP_BINDINGS_MAX);
		return options->max_bindings ? 0 : OPTIONS_SAID;
	case OPTION_SYMBOLS:
		options->symbols_dir = argument;
		return options_directory("--symbols", argument);
	case OPTION_PROFILES:
		options->profiles_dir = argument;
		return options_directory("--profiles", argument);
	case OPTION_VERBOSE:
		log_set_level(LOG_DEBUG);
		return 0;
	case ARGP_KEY_ARG:
		return options_error(
			"unexpected argument `%s`; `turnpike run --help` lists the options",
			argument);
	case ARGP_KEY_END:
		if (!options->pid)
			return options_error("which server? give --pid N, as in "
					     "`--pid $(pidof turnserver)`");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int run_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = run_options,
		.parser = run_parse,
		.doc = "Attaches to a running TURN server and stays in the foreground; Ctrl-C "
		       "leaves everything as it was.",
	};
	struct supervise_options options = {.max_bindings = TP_BINDINGS};
	struct supervisor supervisor;
	char why[SUPERVISE_WHY] = "";
	int err;

	if (!options_parse(&argp, argc, argv, &options))
		return EXIT_USAGE;
	if (geteuid()) {
		log_error("must be root to attach to another process and to interfaces; use sudo");
		return EXIT_FAILED;
	}
	err = supervise_start(&supervisor, &options, why);
	if (err) {
		log_error("%s", why);
		return EXIT_FAILED;
	}
	err = supervise_loop(&supervisor);
	supervise_stop(&supervisor);
	if (err == -ESRCH)
		log_error("the server (process %d) has ended; nothing is relayed for it any more",
			  options.pid);
	else if (err)
		log_error("stopped: %s", strerror(-err));
	return err ? EXIT_FAILED : EXIT_DONE;
}
