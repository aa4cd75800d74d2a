// SPDX-License-Identifier: GPL-2.0-only
/* The `check` command: is this machine ready? */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "src/commands.h"
#include "src/engine.h"
#include "src/log.h"
#include "src/netlink.h"
#include "src/options.h"
#include "src/paths.h"
#include "src/server.h"
#include "symbols/apart.h"
#include "symbols/image.h"
#include "symbols/symbols.h"

enum verdict { READY, WARN, MISSING };

struct check {
	pid_t pid;
	enum verdict worst;
};

static void __attribute__((format(printf, 4, 5)))
check_say(struct check *check, enum verdict verdict, const char *what, const char *format, ...)
{
	static const char *const words[] = {"ok", "warning", "missing"};
	va_list args;

	printf("%-9s%-14s", words[verdict], what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	if (verdict > check->worst)
		check->worst = verdict;
}

static void check_kernel(struct check *check)
{
	struct utsname name;
	int major = 0, minor = 0;

	uname(&name);
	sscanf(name.release, "%d.%d", &major, &minor);
	if (major > 5 || (major == 5 && minor >= 15))
		check_say(check, READY, "kernel", "%s", name.release);
	else
		check_say(check, MISSING, "kernel", "%s; 5.15 or later is needed", name.release);
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		check_say(check, MISSING, "BTF",
			  "no /sys/kernel/btf/vmlinux; a kernel with "
			  "CONFIG_DEBUG_INFO_BTF is needed");
	else
		check_say(check, READY, "BTF", "/sys/kernel/btf/vmlinux");
}

static void check_programs(struct check *check)
{
	struct engine engine;
	int err;

	if (geteuid()) {
		check_say(check, MISSING, "privileges", "not root; use sudo");
		return;
	}
	err = engine_load(&engine, 16);
	if (err)
		check_say(check, MISSING, "BPF", "the programs can't be loaded: %s",
			  strerror(-err));
	else
		check_say(check, READY, "BPF", "the programs load");
	engine_free(&engine);
}

static void check_symbols(struct check *check, const struct server *server)
{
	struct symbols_options options;
	struct symbols *symbols = NULL;
	struct image *image = NULL;
	char why[SYMBOLS_WHY] = "";

	paths_symbols_options(NULL, NULL, &options);
	if (image_open_unread(server->exe_link, &image))
		check_say(check, MISSING, "server", "%s can't be read", server->exe);
	else if (apart_resolve(image, NULL, &options, &symbols, why))
		check_say(check, MISSING, "symbols", "%s", why);
	else
		check_say(check, READY, "symbols", "%s, by %s", symbols->server, symbols->origin);
	symbols_free(symbols);
	image_close(image);
}

static void check_network(struct check *check, const struct server *server)
{
	struct netlink *netlink;
	struct netlink_link link;

	if (server_enter_network(server)) {
		check_say(check, MISSING, "network", "can't enter the server's network namespace");
		return;
	}
	netlink = netlink_open(server->uid);
	for (uint32_t i = 1; netlink && i < 4096; i++) {
		if (netlink_link(netlink, i, &link) || !link.up || link.loopback)
			continue;
		check_say(check, link.ethernet ? READY : WARN, "interface", "%s, MTU %u%s",
			  link.name, link.mtu,
			  link.ethernet ? "" : "; no Ethernet: left to the server");
	}
	netlink_close(netlink);
}

static const struct argp_option check_options[] = {
	{"pid", 'p', "N", 0, "look at this server too", 0},
	{},
};

static error_t check_parse(int key, char *argument, struct argp_state *state)
{
	struct check *check = state->input;

	if (key == ARGP_KEY_ARG)
		return options_error("unexpected argument `%s`", argument);
	if (key != 'p')
		return ARGP_ERR_UNKNOWN;
	check->pid = options_number("--pid", argument, OPTIONS_PID_MAX);
	return check->pid ? 0 : OPTIONS_SAID;
}

int check_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = check_options,
		.parser = check_parse,
		.doc = "Is this machine ready: kernel, BTF, privileges; with --pid also the "
		       "server's symbols and interfaces.",
	};
	struct check check = {};
	struct server server;
	char why[256];

	if (!options_parse(&argp, argc, argv, &check))
		return EXIT_USAGE;
	check_kernel(&check);
	check_programs(&check);
	if (check.pid) {
		if (server_open(check.pid, &server, why, sizeof(why))) {
			log_error("%s", why);
			return EXIT_FAILED;
		}
		check_symbols(&check, &server);
		check_network(&check, &server);
		server_close(&server);
	}
	return check.worst == MISSING ? EXIT_FAILED : EXIT_DONE;
}
