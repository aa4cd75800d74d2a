// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "src/commands.h"
#include "src/follow.h"
#include "src/log.h"
#include "src/privileges.h"
#include "src/status.h"
#include "src/supervise.h"

#define FOLLOW_SERVERS	  64
#define FOLLOW_TICK_MS	  200
#define FOLLOW_RETRY_MS	  1000L /* at first; twice as long each time, but not longer than */
#define FOLLOW_LONGEST_MS 60000

/* A server that was found, and the process that serves it. */
struct followed {
	pid_t server;
	pid_t child; /* 0: none; then one is begun when it is time */
	long retry_ms, at_ms;
	bool done; /* stopped on purpose: not again, until the server is another process */
	bool seen; /* in this scan */
};

struct follower {
	const struct follow_target *targets;
	size_t count;
	const struct supervise_options *options;
	struct followed server[FOLLOW_SERVERS];
	size_t servers;
	bool waiting_said;
};

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The program's file name, as it was when it was started. */
static bool is_program(pid_t pid, const char *name)
{
	char path[32], exe[PATH_MAX], *base, *deleted;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	length = readlink(path, exe, sizeof(exe) - 1);
	if (length <= 0)
		return false;
	exe[length] = 0;
	base = strrchr(exe, '/');
	deleted = strstr(exe, " (deleted)");
	if (deleted) /* it was upgraded while it runs */
		*deleted = 0;
	return base && !strcmp(base + 1, name);
}

/* NAME is one of the folders of its control group; of version 2, or of systemd's own. */
static bool is_of_unit(pid_t pid, const char *name)
{
	char path[32], line[1024], *group, *part, *save;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file)) {
		group = strrchr(line, ':');
		if (!group || (strncmp(line, "0::", 3) && !strstr(line, ":name=systemd:")))
			continue;
		for (part = strtok_r(group + 1, "/\n", &save); part && !found;
		     part = strtok_r(NULL, "/\n", &save))
			found = !strcmp(part, name);
	}
	if (file)
		fclose(file);
	return found;
}

int follow_matches(const struct follow_target *target, pid_t pid)
{
	switch (target->kind) {
	case FOLLOW_PID:
		return target->pid == pid;
	case FOLLOW_NAME:
		return is_program(pid, target->name);
	default:
		return is_of_unit(pid, target->name);
	}
}

static bool is_meant(const struct follower *f, pid_t pid)
{
	for (size_t i = 0; i < f->count; i++)
		if (follow_matches(&f->targets[i], pid))
			return true;
	return false;
}

/* Servers open their sockets some time after they start; -ESRCH: it ended before. */
static int wait_for_sockets(pid_t pid)
{
	struct address address;
	struct server server;
	char why[SUPERVISE_WHY];
	int err = server_open(pid, &server, why, sizeof(why));
	struct pollfd ended = {.fd = err ? -1 : server.pidfd, .events = POLLIN};

	if (err)
		return err;
	err = server_enter_network(&server);
	while (!err && server_udp_addresses(&server, &address, 1) < 1)
		if (poll(&ended, 1, FOLLOW_TICK_MS) > 0)
			err = -ESRCH;
	server_close(&server);
	return err;
}

/* The child's whole life. */
static int serve(const struct follower *f, pid_t pid)
{
	struct supervise_options options = *f->options;
	struct supervisor supervisor;
	char why[SUPERVISE_WHY] = "";
	sigset_t none;
	int err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	options.pid = pid;
	if (wait_for_sockets(pid))
		return EXIT_FAILED;
	err = supervise_start(&supervisor, &options, why);
	if (err) {
		log_error("%s", why);
		return EXIT_FAILED;
	}
	err = supervise_loop(&supervisor);
	supervise_stop(&supervisor);
	if (err == -ESRCH)
		log_info("the server (process %d) has ended; nothing is relayed for it any more",
			 pid);
	else if (err)
		log_error("stopped: %s", strerror(-err));
	return err ? EXIT_FAILED : EXIT_DONE;
}

static void begin(struct follower *f, struct followed *server)
{
	pid_t child = fork();

	if (!child)
		_exit(serve(f, server->server));
	if (child < 0) {
		log_error("can't start a process for server %d: %s", server->server,
			  strerror(errno));
		child = 0;
	}
	server->child = child;
	server->at_ms = now_ms();
}

static struct followed *find(struct follower *f, pid_t pid)
{
	for (size_t i = 0; i < f->servers; i++)
		if (f->server[i].server == pid)
			return &f->server[i];
	return NULL;
}

static void found(struct follower *f, pid_t pid)
{
	struct followed *server = find(f, pid);

	if (!server && f->servers < FOLLOW_SERVERS) {
		server = &f->server[f->servers++];
		*server = (struct followed){.server = pid};
	}
	if (server)
		server->seen = true;
}

/* What is there now, and what isn't any more. */
static void scan(struct follower *f)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t kept = 0;
	pid_t pid;

	for (size_t i = 0; i < f->servers; i++)
		f->server[i].seen = false;
	while (proc && (entry = readdir(proc))) {
		pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid > 0 && pid != getpid() && is_meant(f, pid))
			found(f, pid);
	}
	if (proc)
		closedir(proc);
	for (size_t i = 0; i < f->servers; i++)
		if (f->server[i].seen || f->server[i].child)
			f->server[kept++] = f->server[i];
	f->servers = kept;
	for (size_t i = 0; i < f->servers; i++)
		if (!f->server[i].child && !f->server[i].done && now_ms() >= f->server[i].at_ms)
			begin(f, &f->server[i]);
	if (!f->servers && !f->waiting_said)
		log_info("waiting for a server to appear");
	f->waiting_said = !f->servers;
}

/* One that served for a while begins anew at once; one that fails again and again, less often. */
static void reap(struct follower *f)
{
	struct followed *server;
	long lived;
	pid_t child;
	int status;

	while ((child = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < f->servers; i++) {
			server = &f->server[i];
			if (server->child != child)
				continue;
			lived = now_ms() - server->at_ms;
			server->child = 0;
			server->done = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DONE;
			if (lived > 2 * FOLLOW_RETRY_MS)
				server->retry_ms = 0;
			server->at_ms = now_ms() + server->retry_ms;
			server->retry_ms =
				server->retry_ms ? 2 * server->retry_ms : FOLLOW_RETRY_MS;
			if (server->retry_ms > FOLLOW_LONGEST_MS)
				server->retry_ms = FOLLOW_LONGEST_MS;
		}
	}
}

static void stop_all(struct follower *f)
{
	for (size_t i = 0; i < f->servers; i++)
		if (f->server[i].child)
			kill(f->server[i].child, SIGTERM);
	for (size_t i = 0; i < f->servers; i++)
		if (f->server[i].child)
			waitpid(f->server[i].child, NULL, 0);
}

/* Nothing to wait for: only pids were given, and all of them have ended. */
static bool is_over(const struct follower *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->targets[i].kind != FOLLOW_PID)
			return false;
	return !f->servers;
}

int follow(const struct follow_target *targets, size_t count,
	   const struct supervise_options *options)
{
	struct follower *f = calloc(1, sizeof(*f));
	struct pollfd signals = {.events = POLLIN};
	struct signalfd_siginfo info;
	sigset_t set;
	int err = f ? privileges_drop_for_attaching() : -ENOMEM, socket = status_follow();

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (!err && signals.fd < 0)
		err = -errno;
	if (!err)
		*f = (struct follower){.targets = targets, .count = count, .options = options};
	while (!err) {
		reap(f);
		scan(f);
		if (is_over(f))
			err = -ESRCH;
		else if (poll(&signals, 1, FOLLOW_TICK_MS) > 0 &&
			 read(signals.fd, &info, sizeof(info)) == sizeof(info) &&
			 info.ssi_signo != SIGCHLD)
			break;
	}
	if (f)
		stop_all(f);
	free(f);
	status_follow_close(socket);
	if (signals.fd >= 0)
		close(signals.fd);
	return err;
}
