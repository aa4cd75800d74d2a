// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <bpf/libbpf.h>
#include "bpf/compiler.h"
#include "probes/uprobe.skel.h"
#include "src/hops.h"
#include "src/log.h"
#include "src/netlink.h"
#include "src/paths.h"
#include "src/pins.h"
#include "src/status.h"
#include "src/supervise.h"
#include "symbols/image.h"
#include "symbols/symbols.h"

#define say(why, ...) snprintf(why, SUPERVISE_WHY, __VA_ARGS__)
#define EXE	      "%.200s" /* of a path: the line has to stay one */

static int supervise_resolve(struct supervisor *s, char *why)
{
	struct symbols_options options;
	char detail[SYMBOLS_WHY] = "";
	int err;

	err = image_open(s->server.exe_link, &s->image);
	if (err) {
		say(why, "can't read " EXE ", the program of process %d: %s", s->server.exe,
		    s->server.pid, strerror(-err));
		return err;
	}
	paths_symbols_options(s->options.symbols_dir, s->options.profiles_dir, &options);
	err = symbols_resolve(s->image, &options, &s->symbols, detail);
	if (err == -ENODATA)
		say(why,
		    "no symbols for " EXE " (build-id %s): %s; it could only be observed by "
		    "snooping, which isn't there yet",
		    s->server.exe, image_build_id(s->image), detail);
	else if (err)
		say(why, "%s", detail);
	return err;
}

/* Every event that the promises need has a source. */
static int supervise_require(struct supervisor *s, char *why)
{
	for (unsigned int i = 0; i < s->symbols->events; i++) {
		const struct symbols_event *event = &s->symbols->event[i];

		if (!event->required || event->probes)
			continue;
		say(why,
		    "event `%s` of " EXE " can't be observed: %.*s; snooping isn't there yet, see "
		    "`turnpike resolve --pid %d`",
		    symbols_event_name(event->kind), s->server.exe, (int)strcspn(event->why, "\n"),
		    event->why, s->server.pid);
		return -ENODATA;
	}
	return 0;
}

static int supervise_load(struct supervisor *s, char *why)
{
	int err;

	pins_sweep(status_is_served);
	err = engine_load(&s->engine, s->options.max_bindings);
	if (err) {
		say(why,
		    "can't load the BPF programs: %s; `turnpike check` tells what this "
		    "machine lacks",
		    strerror(-err));
		return err;
	}
	err = pins_make(s->engine.uprobe->obj, s->server.pid);
	if (err)
		log_warning("can't pin the maps under /sys/fs/bpf: %s; only bpftool will miss them",
			    strerror(-err));
	s->attach.skeleton = s->engine.uprobe;
	return 0;
}

static int supervise_interfaces(struct supervisor *s, char *why)
{
	struct address address[INTERFACES];
	int count, err;

	err = server_enter_network(&s->server);
	if (err) {
		say(why, "can't enter the network namespace of process %d: %s", s->server.pid,
		    strerror(-err));
		return err;
	}
	s->netlink = netlink_open(s->server.uid);
	if (!s->netlink) {
		say(why, "can't open a netlink socket: %s", strerror(errno));
		return -errno;
	}
	s->interfaces.engine = &s->engine;
	s->interfaces.netlink = s->netlink;
	s->interfaces.hook = s->options.hook;
	s->hops = (struct hops){&s->engine, s->netlink, &s->interfaces, false};
	if (s->options.interfaces) {
		err = interfaces_named(&s->interfaces, s->options.interfaces, why, SUPERVISE_WHY);
		s->interfaces.fixed = true;
		return err;
	}
	count = server_udp_addresses(&s->server, address, INTERFACES);
	if (count < 0) {
		say(why, "can't list the sockets of process %d: %s", s->server.pid,
		    strerror(-count));
		return count;
	}
	for (int i = 0; i < count; i++) {
		err = interfaces_cover(&s->interfaces, &address[i], why, SUPERVISE_WHY);
		if (err < 0)
			return err;
	}
	return 0;
}

static int supervise_probes(struct supervisor *s, char *why)
{
	int err;

	for (unsigned int e = 0; e < s->symbols->events; e++) {
		for (unsigned int p = 0; p < s->symbols->event[e].probes; p++) {
			struct symbols_probe *probe = &s->symbols->event[e].probe[p];

			probe->plan.tgid = s->server.pid;
			probe->plan.server = 0;
			err = attach_plan(&s->attach, &probe->plan, s->server.pid,
					  s->server.exe_link, probe->offset);
			if (err < 0) {
				say(why, "can't attach to %s at offset 0x%llx: %s", probe->function,
				    (unsigned long long)probe->offset, strerror(-err));
				return err;
			}
		}
	}
	return 0;
}

static void log_notice(struct supervisor *s, const struct tp_notice *n)
{
	switch (n->kind) {
	case TP_NOTICE_COMMIT:
		log_debug("channel 0x%x of session %llu is relayed in the kernel", n->channel,
			  (unsigned long long)n->session);
		break;
	case TP_NOTICE_RETIRE:
		log_debug("channel 0x%x of session %llu is retired", n->channel,
			  (unsigned long long)n->session);
		break;
	case TP_NOTICE_TABLE_FULL:
		if (!s->full_said)
			log_warning(
				"the binding table is full (%u); further channels stay with the "
				"server; raise --max-bindings",
				s->engine.max_bindings);
		s->full_said = true;
		break;
	case TP_NOTICE_SERVER_GONE:
		s->server_gone = true;
		break;
	}
}

/* Those that were attached since it was last called. */
static void say_interfaces(struct supervisor *s)
{
	struct interface *at = s->interfaces.at;

	for (; at < s->interfaces.at + s->interfaces.count; at++) {
		if (at->ifindex && !at->said)
			log_info("interface %s: %s: %s", at->name, hook_name(at->hook), at->why);
		at->said = at->ifindex;
	}
}

/* The interface that peers' packets come in by may not be ours yet. */
static void cover_relay(struct supervisor *s, const struct tp_notice *n)
{
	struct tp_binding b;
	struct address address;
	char why[SUPERVISE_WHY];

	if (!engine_binding(&s->engine, (__u32)n->handle, &b))
		return;
	address = address_of(b.peer_family, b.address[TP_RELAY]);
	if (interfaces_cover(&s->interfaces, &address, why, sizeof(why)) < 0)
		log_warning("%s; what comes in there stays with the server", why);
}

static int on_notice(void *context, void *data, size_t size)
{
	struct supervisor *s = context;
	const struct tp_notice *n = data;

	if (size < sizeof(*n))
		return 0;
	log_notice(s, n);
	if (n->kind == TP_NOTICE_COMMIT) {
		cover_relay(s, n);
		hops_resolve(&s->hops, n->handle, TP_UP);
		hops_resolve(&s->hops, n->handle, TP_DOWN);
	}
	if (n->kind == TP_NOTICE_HOP)
		hops_resolve(&s->hops, n->handle, n->direction);
	if (n->kind == TP_NOTICE_TROUBLE && interfaces_trouble(&s->interfaces, n))
		hops_invalidate(&s->hops);
	say_interfaces(s);
	return 0;
}

static int supervise_watch(struct supervisor *s, char *why)
{
	int err;

	s->notices =
		ring_buffer__new(bpf_map__fd(s->engine.uprobe->maps.notices), on_notice, s, NULL);
	if (!s->notices) {
		say(why, "can't read the ring buffer: %s", strerror(errno));
		return -errno;
	}
	err = engine_watch_redirects(&s->engine, s->server.netns,
				     !netlink_says_features(s->netlink));
	if (err)
		log_warning("can't watch for lost redirects: %s", strerror(-err));
	WRITE_ONCE(s->engine.config->live[0], s->server.pid);
	err = engine_watch_exit(&s->engine);
	if (err)
		say(why, "can't watch for the end of process %d: %s", s->server.pid,
		    strerror(-err));
	return err;
}

static int supervise_claim(struct supervisor *s, char *why)
{
	s->socket = status_listen(s->server.pid);
	if (s->socket == -EBUSY)
		say(why, "another turnpike serves process %d; stop that one first", s->server.pid);
	else if (s->socket < 0)
		say(why, "can't listen in " STATUS_DIRECTORY ": %s", strerror(-s->socket));
	return s->socket < 0 ? s->socket : 0;
}

static void supervise_say_attached(struct supervisor *s)
{
	say_interfaces(s);
	log_info("attached: process %d, %s %s by %s, %u probes, %zu interfaces", s->server.pid,
		 s->symbols->server, s->server.exe, s->symbols->origin, s->attach.plans,
		 s->interfaces.count);
}

int supervise_start(struct supervisor *s, const struct supervise_options *options, char *why)
{
	int (*const steps[])(struct supervisor *, char *) = {
		supervise_resolve,    supervise_require, supervise_claim,  supervise_load,
		supervise_interfaces, supervise_watch,	 supervise_probes,
	};
	int err;

	memset(s, 0, sizeof(*s));
	s->options = *options;
	s->socket = -1;
	err = server_open(options->pid, &s->server, why, SUPERVISE_WHY);
	for (size_t i = 0; !err && i < sizeof(steps) / sizeof(steps[0]); i++)
		err = steps[i](s, why);
	if (err)
		supervise_stop(s);
	else
		supervise_say_attached(s);
	return err;
}

/* Blocks the signals that end the loop and makes them readable. */
static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int supervise_loop(struct supervisor *s)
{
	enum { SIGNAL, PROCESS, NOTICE, NETWORK, STATUS, FDS };
	struct pollfd fds[FDS] = {
		[SIGNAL] = {.fd = signals_open(), .events = POLLIN},
		[PROCESS] = {.fd = s->server.pidfd, .events = POLLIN},
		[NOTICE] = {.fd = ring_buffer__epoll_fd(s->notices), .events = POLLIN},
		[NETWORK] = {.fd = netlink_watch_fd(s->netlink), .events = POLLIN},
		[STATUS] = {.fd = s->socket, .events = POLLIN},
	};
	int err = fds[SIGNAL].fd < 0 ? -errno : 0;

	while (!err) {
		if (poll(fds, FDS, -1) < 0 && errno != EINTR)
			err = -errno;
		if (fds[NOTICE].revents)
			ring_buffer__consume(s->notices);
		if (fds[PROCESS].revents || s->server_gone)
			err = -ESRCH;
		if (fds[SIGNAL].revents)
			break;
		if (fds[NETWORK].revents)
			hops_watch(&s->hops);
		if (fds[STATUS].revents)
			status_answer(s);
	}
	if (fds[SIGNAL].fd >= 0)
		close(fds[SIGNAL].fd);
	return err;
}

void supervise_stop(struct supervisor *s)
{
	if (s->engine.config)
		WRITE_ONCE(s->engine.config->live[0], 0);
	interfaces_free(&s->interfaces);
	attach_free(&s->attach);
	if (s->notices)
		ring_buffer__free(s->notices);
	status_close(s->socket, s->server.pid);
	if (s->engine.uprobe)
		pins_remove(s->server.pid);
	engine_free(&s->engine);
	netlink_close(s->netlink);
	symbols_free(s->symbols);
	image_close(s->image);
	server_close(&s->server);
}
