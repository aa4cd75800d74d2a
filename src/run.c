// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "src/commands.h"
#include "src/follow.h"
#include "src/log.h"
#include "src/metrics.h"
#include "src/options.h"
#include "src/privileges.h"
#include "src/supervise.h"

enum {
	OPTION_PID = 'p',
	OPTION_NAME = 'n',
	OPTION_UNIT = 'u',
	OPTION_INTERFACE = 'i',
	OPTION_VERBOSE = 'v',
	OPTION_MODE = 256,
	OPTION_HOOK,
	OPTION_MAX_BINDINGS,
	OPTION_SYMBOLS,
	OPTION_PROFILES,
	OPTION_LEASE,
	OPTION_LOG_FORMAT,
	OPTION_METRICS,
	OPTION_SOCKETS,
};

static const struct argp_option run_options[] = {
	{"pid", OPTION_PID, "N", 0, "the server's process id; several times: several servers", 0},
	{"name", OPTION_NAME, "PROGRAM", 0,
	 "every server that is this program, as `turnserver`, and each that will be", 0},
	{"unit", OPTION_UNIT, "UNIT", 0,
	 "the server of this systemd unit, as `coturn.service`, whenever it runs", 0},
	{"interface", OPTION_INTERFACE, "IF,...", 0,
	 "attach to these only (default: those that carry the server's sockets)", 0},
	{"mode", OPTION_MODE, "auto|uprobe|snoop", 0,
	 "learn from the server's functions, its packets, or the former where it can (default: "
	 "auto)",
	 0},
	{"hook", OPTION_HOOK, "auto|xdp|xdp-generic|tc", 0,
	 "where packets are relayed (default: auto, what suits each interface)", 0},
	{"max-bindings", OPTION_MAX_BINDINGS, "N", 0,
	 "channels at a time, 1 to 1000000 (default: 65536)", 0},
	{"lease", OPTION_LEASE, "SECONDS", 0,
	 "how long all goes on in the kernel without turnpike, 1 to 86400 (default: 60)", 0},
	{"sockets", OPTION_SOCKETS, "auto|fentry|cgroup|sock_diag", 0,
	 "how the kernel tells of closed sockets (default: auto, the best there is)", 0},
	{"symbols", OPTION_SYMBOLS, "DIR", 0, "look for symbol maps here first", 0},
	{"profiles", OPTION_PROFILES, "DIR", 0, "take server profiles from here", 0},
	{"metrics", OPTION_METRICS, "[ADDRESS:]PORT", 0,
	 "figures for Prometheus by HTTP, on 127.0.0.1 if no address is given (default: none)", 0},
	{"log-format", OPTION_LOG_FORMAT, "text|json", 0, "a line of which for each event", 0},
	{"verbose", OPTION_VERBOSE, NULL, 0, "log every channel, and libbpf's words", 0},
	{},
};

struct run {
	struct supervise_options options;
	struct follow_target target[FOLLOW_TARGETS];
	size_t targets;
	const char *metrics; /* NULL: none */
};

static error_t run_target(struct run *run, struct follow_target target)
{
	if (run->targets == FOLLOW_TARGETS)
		return options_error("more than %d of --pid, --name and --unit", FOLLOW_TARGETS);
	if (target.kind != FOLLOW_PID && (!target.name[0] || strchr(target.name, '/')))
		return options_error("`%s` is no name of a program or unit; give it without a path",
				     target.name);
	run->target[run->targets++] = target;
	return 0;
}

static error_t run_parse(int key, char *argument, struct argp_state *state)
{
	struct run *run = state->input;
	struct supervise_options *options = &run->options;

	switch (key) {
	case OPTION_PID:
		options->pid = options_number("--pid", argument, OPTIONS_PID_MAX);
		return options->pid ? run_target(run, (struct follow_target){FOLLOW_PID,
									     options->pid, NULL})
				    : OPTIONS_SAID;
	case OPTION_NAME:
		return run_target(run, (struct follow_target){FOLLOW_NAME, 0, argument});
	case OPTION_UNIT:
		return run_target(run, (struct follow_target){FOLLOW_UNIT, 0, argument});
	case OPTION_INTERFACE:
		options->interfaces = argument;
		return 0;
	case OPTION_MODE:
		options->mode = !strcmp(argument, "uprobe")  ? OBSERVE_UPROBE
				: !strcmp(argument, "snoop") ? OBSERVE_SNOOP
							     : OBSERVE_AUTO;
		if (options->mode == OBSERVE_AUTO && strcmp(argument, "auto"))
			return options_error("--mode: `%s` is not auto, uprobe or snoop", argument);
		return 0;
	case OPTION_HOOK:
		if (!hook_parse(argument, &options->hook))
			return options_error("--hook: `%s` is not auto, xdp, xdp-generic or tc",
					     argument);
		return 0;
	case OPTION_MAX_BINDINGS:
		options->max_bindings = options_number("--max-bindings", argument, TP_BINDINGS_MAX);
		return options->max_bindings ? 0 : OPTIONS_SAID;
	case OPTION_METRICS:
		run->metrics = argument;
		return 0;
	case OPTION_LOG_FORMAT:
		log_set_json(!strcmp(argument, "json"));
		return !strcmp(argument, "json") || !strcmp(argument, "text")
			       ? 0
			       : options_error("--log-format: `%s` is not text or json", argument);
	case OPTION_LEASE:
		options->lease = options_number("--lease", argument, 86400);
		return options->lease ? 0 : OPTIONS_SAID;
	case OPTION_SOCKETS:
		options->sockets = watch_source_of(argument);
		return options->sockets < WATCH_NOTHING
			       ? 0
			       : options_error("--sockets: `%s` is not auto, fentry, cgroup or "
					       "sock_diag",
					       argument);
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
		if (!run->targets)
			return options_error("which server? give --pid N, as in "
					     "`--pid $(pidof turnserver)`, --name or --unit");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

/* One process, until it ends. */
static int run_one(const struct supervise_options *options)
{
	struct supervisor supervisor;
	char why[SUPERVISE_WHY] = "";
	int err = supervise_start(&supervisor, options, why);

	if (err) {
		log_error("%s", why);
		return EXIT_FAILED;
	}
	err = supervise_loop(&supervisor);
	supervise_stop(&supervisor);
	if (err == -ESRCH)
		log_error("the server (process %d) has ended; nothing is relayed for it any more",
			  options->pid);
	else if (err)
		log_error("stopped: %s", strerror(-err));
	return err ? EXIT_FAILED : EXIT_DONE;
}

static int run_several(const struct run *run)
{
	int err = follow(run->target, run->targets, &run->options);

	if (err == -ESRCH)
		log_error("all servers have ended; nothing is relayed for them any more");
	else if (err)
		log_error("stopped: %s", strerror(-err));
	return err ? EXIT_FAILED : EXIT_DONE;
}

int run_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = run_options,
		.parser = run_parse,
		.doc = "Attaches to running TURN servers and stays in the foreground; Ctrl-C "
		       "leaves everything as it was.",
	};
	char missing[128], why[256];
	struct run run = {.options = {.max_bindings = TP_BINDINGS, .lease = 60}};

	if (!options_parse(&argp, argc, argv, &run))
		return EXIT_USAGE;
	if (!privileges_suffice(missing, sizeof(missing))) {
		log_error("must be root to attach to another process and to interfaces; use sudo "
			  "(missing: %s)",
			  missing);
		return EXIT_FAILED;
	}
	if (run.metrics && metrics_start(run.metrics, why, sizeof(why))) {
		log_error("%s", why);
		return EXIT_FAILED;
	}
	return run.targets == 1 && run.target[0].kind == FOLLOW_PID ? run_one(&run.options)
								    : run_several(&run);
}
