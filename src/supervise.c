// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
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
#include "src/privileges.h"
#include "src/status.h"
#include "src/supervise.h"
#include "symbols/apart.h"
#include "symbols/image.h"
#include "symbols/symbols.h"

#define say(why, ...) snprintf(why, SUPERVISE_WHY, __VA_ARGS__)
#define EXE	      "%.200s" /* of a path: the line has to stay one */

static int supervise_resolve(struct supervisor *s, char *why)
{
	struct symbols_options options;
	char detail[SYMBOLS_WHY] = "", root[64];
	int err;

	err = image_open_unread(s->server.exe_link, &s->image);
	if (err) {
		say(why, "can't read " EXE ", the program of process %d: %s", s->server.exe,
		    s->server.pid, strerror(-err));
		return err;
	}
	paths_symbols_options(s->options.symbols_dir, s->options.profiles_dir, &options);
	snprintf(root, sizeof(root), "/proc/%d/root", s->server.pid);
	options.root = root;
	err = apart_resolve(s->image, NULL, &options, &s->symbols, detail);
	if (s->options.mode == OBSERVE_SNOOP) {
		symbols_free(s->symbols);
		s->symbols = NULL;
		err = 0;
	}
	if (err == -ENOENT) {
		say(why, "%s; if it is one, --mode snoop learns from its packets", detail);
		return err;
	}
	if (err == -ENODATA && s->options.mode == OBSERVE_UPROBE) {
		say(why, "no symbols for " EXE " (build-id %s): %s; --mode auto snoops instead",
		    s->server.exe, image_build_id(s->image), detail);
		return err;
	}
	if (err == -EBADMSG && s->options.mode == OBSERVE_AUTO)
		log_warning("%s; it is snooped instead", detail);
	else if (err && err != -ENODATA) {
		say(why, "%s", detail);
		return err;
	}
	observers_choose(s->options.mode, s->symbols, detail, &s->observers);
	return 0;
}

/* Every event that the promises need has a source: with --mode uprobe, maybe not. */
static int supervise_require(struct supervisor *s, char *why)
{
	for (unsigned int i = 0; s->options.mode == OBSERVE_UPROBE && i < s->symbols->events; i++) {
		const struct symbols_event *event = &s->symbols->event[i];

		/* Closed sockets the kernel tells of, too. */
		if (!event->required || event->probes || event->kind == TP_EVENT_SOCKET_CLOSED)
			continue;
		say(why,
		    "event `%s` of " EXE " can't be observed: %.*s; --mode auto snoops it, see "
		    "`turnpike resolve --pid %d`",
		    symbols_event_name(event->kind), s->server.exe, (int)strcspn(event->why, "\n"),
		    event->why, s->server.pid);
		return -ENODATA;
	}
	return 0;
}

/* Left by a turnpike that was killed, for a server that is no more. */
static void sweep(pid_t pid, void *data)
{
	(void)data;
	if (!status_is_served(pid) && !engine_is_alive(pid))
		pins_remove(pid);
}

/* What the wire doesn't say of this server, and that it can be snooped at all. */
static int supervise_settings(struct supervisor *s, char *why)
{
	struct symbols_options options;
	struct symbols_wire wire;
	int err;

	if (!s->observers.snooped)
		return 0;
	paths_symbols_options(s->options.symbols_dir, s->options.profiles_dir, &options);
	err = symbols_wire(s->image, &options, &wire);
	err = settings_read(&s->server, err ? NULL : &wire, &s->snoop.settings);
	if (err) {
		say(why, "can't read the command line of process %d: %s", s->server.pid,
		    strerror(-err));
		return err;
	}
	if (s->observers.snooped & SNOOP_COMMIT && s->snoop.settings.limited) {
		say(why,
		    "process %d limits the bandwidth of sessions (%s), which packets don't tell "
		    "of: it can't be snooped; a symbol map or debug information is needed",
		    s->server.pid, wire.limit_option);
		return -EOPNOTSUPP;
	}
	return 0;
}

static int supervise_load(struct supervisor *s, char *why)
{
	int err = pins_open(s->server.pid);

	if (err)
		log_warning("can't pin anything under /sys/fs/bpf: %s; if turnpike is killed, all "
			    "goes back to the server",
			    strerror(-err));
	pins_each(sweep, NULL);
	/* What packets told is not known to the next run, so it doesn't outlive this one. */
	if (s->observers.snooped && !err)
		pins_remove(s->server.pid);
	err = engine_load_pinned(&s->engine, s->options.max_bindings,
				 err || s->observers.snooped ? 0 : s->server.pid);
	if (!err && s->observers.snooped)
		err = snoop_load(&s->snoop, &s->engine);
	if (err) {
		say(why,
		    "can't load the BPF programs: %s; `turnpike check` tells what this "
		    "machine lacks",
		    strerror(-err));
		return err;
	}
	s->hops.engine = &s->engine;
	if (s->engine.adopted) {
		log_info("adopted: what an earlier turnpike left in the kernel for process %d",
			 s->server.pid);
		hops_invalidate(&s->hops);
	}
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
	interfaces_foresee(&s->interfaces);
	s->hops.netlink = s->netlink;
	s->hops.interfaces = &s->interfaces;
	if (s->engine.adopted) {
		err = interfaces_adopt(&s->interfaces);
		if (err) {
			say(why, "can't take over the interfaces: %s; `turnpike stop` removes them",
			    strerror(-err));
			return err;
		}
	}
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

static bool probe_stays(const struct attach_probe *probe)
{
	return probe->link && !probe->until;
}

static bool is_probe(const char *name, void *data)
{
	const struct attach *attach = data;
	unsigned long index = strtoul(name + strlen("probe-"), NULL, 10);

	return index < attach->probes && probe_stays(&attach->probe[index]);
}

/* An earlier run's are let go once ours are there: an event that both see changes nothing twice. */
static int pin_probes(struct supervisor *s)
{
	char name[PINS_NAME];
	int err = 0;

	for (unsigned int i = 0; !err && i < s->attach.probes; i++) {
		if (!probe_stays(&s->attach.probe[i]))
			continue;
		snprintf(name, sizeof(name), "probe-%u", i);
		err = engine_pin(&s->engine, name, bpf_link__fd(s->attach.probe[i].link));
	}
	pins_drop(s->server.pid, "probe-", is_probe, &s->attach);
	return err;
}

static int supervise_probes(struct supervisor *s, char *why)
{
	int err;

	for (unsigned int e = 0; s->symbols && e < s->symbols->events; e++) {
		if (!observers_probes(&s->observers, s->symbols->event[e].kind))
			continue;
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
	err = pin_probes(s);
	if (err)
		say(why, "can't pin the probes: %s", strerror(-err));
	return err;
}

static int supervise_snoop(struct supervisor *s, char *why)
{
	int err;

	if (!s->observers.snooped)
		return 0;
	err = snoop_answer(&s->snoop, s->notices);
	if (err) {
		say(why, "can't read the ring buffer: %s", strerror(-err));
		return err;
	}
	return snoop_start(&s->snoop, &s->server, s->netlink, s->observers.snooped, why,
			   SUPERVISE_WHY);
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

static bool has_socket_probes(const struct supervisor *s)
{
	for (unsigned int i = 0; s->symbols && i < s->symbols->events; i++)
		if (s->symbols->event[i].kind == TP_EVENT_SOCKET_CLOSED)
			return s->symbols->event[i].probes;
	return s->observers.snooped & SNOOP_SOCKET_CLOSED;
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
	err = watch_start(&s->watch, &s->engine, s->options.sockets);
	if (!err)
		err = watch_renew(&s->watch, s->options.lease);
	if (err) {
		say(why, "can't watch for the end of process %d: %s", s->server.pid,
		    strerror(-err));
		return err;
	}
	if (s->watch.source == WATCH_NOTHING && (s->options.sockets || !has_socket_probes(s))) {
		say(why, "closed sockets can't be seen: %s; try another --sockets", s->watch.why);
		return -EOPNOTSUPP;
	}
	return 0;
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

/* All that needs more has been done. */
static int supervise_drop(struct supervisor *s, char *why)
{
	int err = privileges_drop();

	(void)s;
	if (err)
		say(why, "can't give up privileges: %s", strerror(-err));
	return err;
}

static void supervise_say_attached(struct supervisor *s)
{
	say_interfaces(s);
	for (int i = 0; i < OBSERVERS; i++)
		if (s->observers.at[i].snooped)
			log_info("%s: snooped (%.*s)", symbols_event_name(s->observers.at[i].kind),
				 (int)strcspn(s->observers.at[i].why, "\n"),
				 s->observers.at[i].why);
	log_info("attached: process %d, %s %s by %s, %u probes, %zu interfaces", s->server.pid,
		 s->symbols ? s->symbols->server : "server", s->server.exe,
		 s->symbols ? s->symbols->origin : "snooping", s->attach.plans,
		 s->interfaces.count);
}

int supervise_start(struct supervisor *s, const struct supervise_options *options, char *why)
{
	int (*const steps[])(struct supervisor *, char *) = {
		supervise_resolve, supervise_require,	 supervise_settings, supervise_claim,
		supervise_load,	   supervise_interfaces, supervise_watch,    supervise_snoop,
		supervise_probes,  supervise_drop,
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

/* How often it is looked after what no event tells; a fraction of the shortest lease. */
#define SUPERVISE_TICK_MS 500

/* Now and then, however busy the loop is. */
static void supervise_sweep(struct supervisor *s)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (!s->observers.snooped || now.tv_sec == s->swept)
		return;
	s->swept = now.tv_sec;
	snoop_sweep(&s->snoop);
}

int supervise_loop(struct supervisor *s)
{
	enum { SIGNAL, PROCESS, NOTICE, NETWORK, STATUS, SOCKETS, FDS };
	struct pollfd fds[FDS] = {
		[SIGNAL] = {.fd = signals_open(), .events = POLLIN},
		[PROCESS] = {.fd = s->server.pidfd, .events = POLLIN},
		[NOTICE] = {.fd = ring_buffer__epoll_fd(s->notices), .events = POLLIN},
		[NETWORK] = {.fd = netlink_watch_fd(s->netlink), .events = POLLIN},
		[STATUS] = {.fd = s->socket, .events = POLLIN},
		[SOCKETS] = {.fd = watch_fd(&s->watch), .events = POLLIN},
	};
	int err = fds[SIGNAL].fd < 0 ? -errno : 0;

	while (!err) {
		attach_expire(&s->attach); /* to the second, as often as this wakes up */
		if (poll(fds, FDS, SUPERVISE_TICK_MS) < 0 && errno != EINTR)
			err = -errno;
		watch_renew(&s->watch, s->options.lease);
		supervise_sweep(s);
		if (fds[SOCKETS].revents)
			watch_read(&s->watch, s->server.pid);
		if (fds[NOTICE].revents)
			ring_buffer__consume(s->notices);
		if (fds[PROCESS].revents || s->server_gone)
			err = -ESRCH;
		if (fds[SIGNAL].revents)
			break;
		if (fds[NETWORK].revents && hops_watch(&s->hops))
			snoop_addresses(&s->snoop, s->netlink);
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
	if (s->engine.pid)
		pins_remove(s->server.pid);
	interfaces_free(&s->interfaces);
	attach_free(&s->attach);
	watch_stop(&s->watch);
	snoop_free(&s->snoop);
	if (s->notices)
		ring_buffer__free(s->notices);
	status_close(s->socket, s->server.pid);
	engine_free(&s->engine);
	netlink_close(s->netlink);
	symbols_free(s->symbols);
	image_close(s->image);
	server_close(&s->server);
}
