// SPDX-License-Identifier: GPL-2.0-only
/* The `stop` command: ends what runs, and removes what killed runs have left in the kernel. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "src/commands.h"
#include "src/log.h"
#include "src/options.h"
#include "src/pins.h"
#include "src/status.h"

#define STOP_SECONDS 10

struct stop {
	pid_t pid; /* 0: of every server */
	int stopped, failed;
};

static bool stop_is_meant(const struct stop *stop, pid_t pid)
{
	return !stop->pid || stop->pid == pid;
}

/* Asks the turnpike that serves PID to end, and waits until it has. */
static void stop_one(struct stop *stop, pid_t pid)
{
	pid_t turnpike = status_process(pid);

	if (turnpike <= 0)
		return;
	if (kill(turnpike, SIGTERM)) {
		log_error("can't end turnpike (process %d), which serves process %d: %s", turnpike,
			  pid, strerror(errno));
		stop->failed++;
		return;
	}
	for (int i = 0; i < 100 * STOP_SECONDS && status_process(pid) > 0; i++)
		poll(NULL, 0, 10);
	if (status_process(pid) > 0) {
		log_error("turnpike (process %d), which serves process %d, doesn't end; kill it "
			  "and try again",
			  turnpike, pid);
		stop->failed++;
	} else {
		stop->stopped++;
	}
}

/* Ends who would serve them again. */
static void stop_followers(struct stop *stop)
{
	DIR *directory = opendir(STATUS_DIRECTORY);
	struct dirent *entry;
	pid_t follower;

	while (directory && (entry = readdir(directory))) {
		follower = status_follower(entry->d_name);
		if (follower <= 0 || kill(follower, SIGTERM))
			continue;
		for (int i = 0; i < 100 * STOP_SECONDS; i++) {
			if (status_follower(entry->d_name) <= 0)
				break;
			poll(NULL, 0, 10);
		}
		stop->stopped++;
	}
	if (directory)
		closedir(directory);
}

static void stop_left(pid_t pid, void *data)
{
	struct stop *stop = data;

	if (!stop_is_meant(stop, pid) || status_process(pid) > 0)
		return;
	pins_remove(pid);
	stop->stopped++;
}

static const struct argp_option stop_options[] = {
	{"pid", 'p', "N", 0, "for this server only", 0},
	{},
};

static error_t stop_parse(int key, char *argument, struct argp_state *state)
{
	struct stop *stop = state->input;

	if (key == ARGP_KEY_ARG)
		return options_error("unexpected argument `%s`", argument);
	if (key != 'p')
		return ARGP_ERR_UNKNOWN;
	stop->pid = options_number("--pid", argument, OPTIONS_PID_MAX);
	return stop->pid ? 0 : OPTIONS_SAID;
}

int stop_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = stop_options,
		.parser = stop_parse,
		.doc = "Ends what runs, and removes what killed runs have left in the kernel; all "
		       "traffic goes on through the server.",
	};
	struct stop stop = {};
	pid_t *served;

	if (!options_parse(&argp, argc, argv, &stop))
		return EXIT_USAGE;
	if (geteuid()) {
		log_error("must be root; use sudo");
		return EXIT_FAILED;
	}
	if (!stop.pid)
		stop_followers(&stop);
	served = status_served();
	for (pid_t *pid = served; pid && *pid; pid++)
		if (stop_is_meant(&stop, *pid))
			stop_one(&stop, *pid);
	free(served);
	pins_each(stop_left, &stop);
	if (stop.pid && !stop.stopped && !stop.failed) {
		log_error("nothing is attached for process %d; `turnpike status` lists what is",
			  stop.pid);
		return EXIT_FAILED;
	}
	return stop.failed ? EXIT_FAILED : EXIT_DONE;
}
