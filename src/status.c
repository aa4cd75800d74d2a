// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cjson/cJSON.h>
#include "src/status.h"
#include "src/supervise.h"
#include "symbols/image.h"
#include "symbols/symbols.h"

static void status_path(pid_t pid, struct sockaddr_un *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	snprintf(ret->sun_path, sizeof(ret->sun_path), STATUS_DIRECTORY "/%d.sock", pid);
}

/* Who listens there; 0: nobody. */
static pid_t status_peer(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ucred who = {};
	socklen_t length = sizeof(who);

	if (fd >= 0 && !connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length);
	if (fd >= 0)
		close(fd);
	return who.pid;
}

pid_t status_process(pid_t pid)
{
	struct sockaddr_un address;

	status_path(pid, &address);
	return status_peer(&address);
}

pid_t status_follower(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strncmp(name, STATUS_FOLLOWER, strlen(STATUS_FOLLOWER)))
		return 0;
	snprintf(address.sun_path, sizeof(address.sun_path), STATUS_DIRECTORY "/%.64s", name);
	return status_peer(&address);
}

static int status_bind(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	unlink(address->sun_path);
	if (!bind(fd, (const struct sockaddr *)address, sizeof(*address)) && !listen(fd, 8))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static void status_follow_path(struct sockaddr_un *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	snprintf(ret->sun_path, sizeof(ret->sun_path), STATUS_DIRECTORY "/" STATUS_FOLLOWER "%d",
		 getpid());
}

int status_follow(void)
{
	struct sockaddr_un address;

	mkdir(STATUS_DIRECTORY, 0700);
	status_follow_path(&address);
	return status_bind(&address);
}

void status_follow_close(int socket)
{
	struct sockaddr_un address;

	if (socket < 0)
		return;
	status_follow_path(&address);
	unlink(address.sun_path);
	close(socket);
	rmdir(STATUS_DIRECTORY);
}

bool status_is_served(pid_t pid)
{
	return status_process(pid) > 0;
}

pid_t *status_served(void)
{
	DIR *directory = opendir(STATUS_DIRECTORY);
	size_t count = 0, size = 16;
	pid_t *all = calloc(size, sizeof(*all)), *more, pid;
	struct dirent *entry;

	while (all && directory && (entry = readdir(directory))) {
		pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid <= 0)
			continue;
		all[count++] = pid;
		if (count < size)
			continue;
		more = realloc(all, 2 * size * sizeof(*all));
		if (!more)
			break;
		all = more;
		size *= 2;
	}
	if (all)
		all[count < size ? count : size - 1] = 0;
	if (directory)
		closedir(directory);
	return all;
}

int status_listen(pid_t pid)
{
	struct sockaddr_un address;

	if (mkdir(STATUS_DIRECTORY, 0700) && errno != EEXIST)
		return -errno;
	status_path(pid, &address);
	return status_is_served(pid) ? -EBUSY : status_bind(&address);
}

void status_close(int socket, pid_t pid)
{
	struct sockaddr_un address;

	if (socket < 0)
		return;
	status_path(pid, &address);
	unlink(address.sun_path);
	close(socket);
	rmdir(STATUS_DIRECTORY);
}

static void add_address(cJSON *object, const char *name, const struct tp_binding *b, int end)
{
	char text[INET6_ADDRSTRLEN], both[INET6_ADDRSTRLEN + 16];
	int family = end == TP_CLIENT || end == TP_SERVER ? b->client_family : b->peer_family;

	inet_ntop(family, b->address[end], text, sizeof(text));
	snprintf(both, sizeof(both), family == AF_INET6 ? "[%s]:%u" : "%s:%u", text,
		 ntohs(b->port[end]));
	cJSON_AddStringToObject(object, name, both);
}

static void add_count(cJSON *object, const char *name, struct tp_count count)
{
	cJSON *direction = cJSON_AddObjectToObject(object, name);

	cJSON_AddNumberToObject(direction, "packets", count.packets);
	cJSON_AddNumberToObject(direction, "bytes", count.bytes);
}

static double seconds_left(__u64 expires_ns)
{
	struct timespec now;
	double left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left = (expires_ns - (now.tv_sec * 1000000000.0 + now.tv_nsec)) / 1e9;
	return left > 0 ? (long)left : 0;
}

static void add_binding(cJSON *array, const struct engine *engine, __u32 slot,
			const struct tp_binding *b)
{
	const struct tp_allocation *a = &engine->allocations[b->allocation];
	cJSON *object = cJSON_CreateObject();
	char user[TP_USER_LENGTH + 1] = {}, realm[TP_REALM_LENGTH + 1] = {};

	memcpy(user, a->user, TP_USER_LENGTH);
	memcpy(realm, a->realm, TP_REALM_LENGTH);
	add_address(object, "client", b, TP_CLIENT);
	add_address(object, "server", b, TP_SERVER);
	add_address(object, "relay", b, TP_RELAY);
	add_address(object, "peer", b, TP_PEER);
	cJSON_AddNumberToObject(object, "channel", ntohs(b->channel));
	cJSON_AddStringToObject(object, "user", user);
	cJSON_AddStringToObject(object, "realm", realm);
	cJSON_AddNumberToObject(object, "expires_in_s", seconds_left(b->expires_ns));
	add_count(object, "upstream", engine_count(engine, slot, TP_UP));
	add_count(object, "downstream", engine_count(engine, slot, TP_DOWN));
	cJSON_AddItemToArray(array, object);
}

static void add_bindings(cJSON *server, const struct engine *engine)
{
	cJSON *array = cJSON_AddArrayToObject(server, "bindings");
	struct tp_binding b;

	for (__u32 slot = 0; slot < engine->max_bindings; slot++)
		if (engine_binding(engine, slot, &b) && b.allocation < engine->max_bindings)
			add_binding(array, engine, slot, &b);
}

static void add_observer(cJSON *array, const struct supervisor *s,
			 const struct symbols_event *event, const struct symbols_probe *probe,
			 unsigned int plan)
{
	const struct tp_probe_stats *stats = &s->engine.stats[plan];
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "event", symbols_event_name(event->kind));
	cJSON_AddStringToObject(object, "source", "uprobe");
	cJSON_AddStringToObject(object, "function", probe->function);
	if (probe->within)
		cJSON_AddStringToObject(object, "within", probe->within);
	cJSON_AddNumberToObject(object, "offset", probe->offset);
	cJSON_AddStringToObject(object, "symbols", s->symbols->origin);
	cJSON_AddBoolToObject(object, "attached", attach_is_on(&s->attach, plan));
	cJSON_AddNumberToObject(object, "hits", stats->hits);
	cJSON_AddNumberToObject(object, "mean_ns", stats->hits ? stats->ns / stats->hits : 0);
	cJSON_AddNumberToObject(object, "failed_reads", stats->failed_reads);
	cJSON_AddStringToObject(object, "why", event->why ? event->why : "");
	cJSON_AddItemToArray(array, object);
}

static void add_snooped(cJSON *array, const struct supervisor *s)
{
	cJSON *object;

	for (int i = 0; i < OBSERVERS; i++) {
		if (!s->observers.at[i].snooped)
			continue;
		object = cJSON_CreateObject();
		cJSON_AddStringToObject(object, "event",
					symbols_event_name(s->observers.at[i].kind));
		cJSON_AddStringToObject(object, "source", "snoop");
		cJSON_AddStringToObject(object, "function", "");
		cJSON_AddNumberToObject(object, "offset", 0);
		cJSON_AddStringToObject(object, "symbols", "");
		cJSON_AddNumberToObject(object, "hits", s->snoop.counts[SNOOP_COMMITS + i]);
		cJSON_AddNumberToObject(object, "failed_reads", 0);
		cJSON_AddStringToObject(object, "why", s->observers.at[i].why);
		cJSON_AddItemToArray(array, object);
	}
}

/* What was snooped beside events, and what was not believed; nothing if nothing is snooped. */
static void add_snoop(cJSON *server, const struct snoop *snoop)
{
	static const char *const names[SNOOP_COMMITS] = {
		[SNOOP_REQUESTS] = "requests",
		[SNOOP_RESPONSES] = "responses",
		[SNOOP_UNMATCHED] = "unmatched",
		[SNOOP_AMBIGUOUS] = "ambiguous",
		[SNOOP_ODD] = "odd",
		[SNOOP_UNREAD] = "unread",
		[SNOOP_FULL] = "full",
		[SNOOP_NO_RELAY] = "no_relay",
		[SNOOP_LEFT] = "left",
	};
	cJSON *object = cJSON_AddObjectToObject(server, "snoop");

	for (int i = 0; i < SNOOP_COMMITS; i++)
		cJSON_AddNumberToObject(object, names[i], snoop->counts[i]);
}

static void add_observers(cJSON *server, const struct supervisor *s)
{
	cJSON *array = cJSON_AddArrayToObject(server, "observers");
	unsigned int plan = 0;

	add_snooped(array, s);
	for (unsigned int e = 0; s->symbols && e < s->symbols->events; e++) {
		const struct symbols_event *event = &s->symbols->event[e];

		if (!observers_probes(&s->observers, event->kind))
			continue;
		for (unsigned int p = 0; p < event->probes; p++)
			add_observer(array, s, event, &event->probe[p], plan++);
	}
}

static void add_kernel_observer(cJSON *array, const char *event, const char *source,
				const char *function, __u64 hits, const char *why)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "event", event);
	cJSON_AddStringToObject(object, "source", source);
	cJSON_AddStringToObject(object, "function", function);
	cJSON_AddNumberToObject(object, "offset", 0);
	cJSON_AddStringToObject(object, "symbols", "kernel");
	cJSON_AddNumberToObject(object, "hits", hits);
	cJSON_AddNumberToObject(object, "failed_reads", 0);
	cJSON_AddStringToObject(object, "why", why);
	cJSON_AddItemToArray(array, object);
}

/* What the kernel tells: of the sockets by the first way that it has, of the process. */
static void add_kernel_observers(cJSON *server, const struct supervisor *s)
{
	static const char *const functions[] = {
		[WATCH_FENTRY] = "udp_destroy_sock, udpv6_destroy_sock",
		[WATCH_CGROUP] = "sock_release",
		[WATCH_SOCK_DIAG] = "SKNLGRP_INET_UDP_DESTROY",
		[WATCH_NOTHING] = "",
	};
	cJSON *array = cJSON_GetObjectItem(server, "observers");
	const struct watch *watch = &s->watch;

	add_kernel_observer(array, symbols_event_name(TP_EVENT_SOCKET_CLOSED),
			    watch_source_name(watch->source), functions[watch->source],
			    watch_seen(watch, TP_SEEN_SOCKET), watch->why);
	add_kernel_observer(array, "server_gone", "tracepoint", "sched_process_exit",
			    watch_seen(watch, TP_SEEN_EXIT), "");
	add_kernel_observer(array, "server_gone", "tracepoint", "sched_process_exec",
			    watch_seen(watch, TP_SEEN_EXEC), "");
	add_kernel_observer(array, "server_gone", "tracepoint", "signal_deliver",
			    watch_seen(watch, TP_SEEN_CRASH), "");
}

static void add_interfaces(cJSON *server, const struct engine *engine,
			   const struct interfaces *interfaces)
{
	cJSON *array = cJSON_AddArrayToObject(server, "interfaces");
	cJSON *object;

	for (size_t i = 0; i < interfaces->count; i++) {
		if (!interfaces->at[i].ifindex)
			continue;
		object = cJSON_CreateObject();
		cJSON_AddStringToObject(object, "name", interfaces->at[i].name);
		cJSON_AddNumberToObject(object, "ifindex", interfaces->at[i].ifindex);
		cJSON_AddStringToObject(object, "hook", hook_name(interfaces->at[i].hook));
		cJSON_AddStringToObject(object, "why", interfaces->at[i].why);
		cJSON_AddBoolToObject(object, "multi_buffer", interfaces->at[i].link.frags);
		cJSON_AddNumberToObject(object, "lost_redirects", engine_lost_redirects(engine, i));
		cJSON_AddItemToArray(array, object);
	}
}

/* Where each counter stands under "counters". */
static const struct {
	const char *group, *name;
} counter_names[TP_COUNTERS] = {
	[TP_FORWARDED_UP] = {"forwarded", "upstream"},
	[TP_FORWARDED_DOWN] = {"forwarded", "downstream"},
	[TP_FORWARDED_HAIRPIN] = {"forwarded", "hairpin"},
	[TP_PASSED_NO_BINDING] = {"passed", "no_binding"},
	[TP_PASSED_CONTROL] = {"passed", "control"},
	[TP_PASSED_FRAGMENT] = {"passed", "fragment"},
	[TP_PASSED_IP_OPTIONS] = {"passed", "ip_options"},
	[TP_PASSED_LENGTH] = {"passed", "length"},
	[TP_PASSED_CHECKSUM] = {"passed", "checksum"},
	[TP_PASSED_TTL] = {"passed", "ttl"},
	[TP_PASSED_MTU] = {"passed", "mtu"},
	[TP_PASSED_NO_ROUTE] = {"passed", "no_route"},
	[TP_PASSED_NO_NEIGHBOUR] = {"passed", "no_neighbour"},
	[TP_PASSED_HEARTBEAT] = {"passed", "heartbeat"},
	[TP_PASSED_EXPIRED] = {"passed", "expired"},
	[TP_PASSED_HEADROOM] = {"passed", "headroom"},
	[TP_PASSED_EGRESS] = {"passed", "egress"},
	[TP_DROPPED_POLICED] = {"dropped", "policed"},
	[TP_ERROR_REDIRECT] = {"errors", "redirect"},
	[TP_ERROR_TABLE_FULL] = {"errors", "table_full"},
	[TP_ERROR_LOST_EVENTS] = {"errors", "lost_events"},
	[TP_ERROR_FAILED_READS] = {"errors", "failed_reads"},
	[TP_REFUSED_TRANSPORT] = {"not_offloaded", "transport"},
	[TP_REFUSED_MOBILITY] = {"not_offloaded", "mobility"},
	[TP_REFUSED_LIMIT] = {"not_offloaded", "limit"},
	[TP_REFUSED_STATE] = {"not_offloaded", "state"},
	[TP_REFUSED_ADDRESS] = {"not_offloaded", "address"},
};

static void add_counters(cJSON *server, const struct engine *engine)
{
	cJSON *counters = cJSON_AddObjectToObject(server, "counters"), *group;
	__u64 value[TP_COUNTERS] = {};

	engine_counters(engine, value);
	for (int i = 0; i < TP_COUNTERS; i++) {
		group = cJSON_GetObjectItem(counters, counter_names[i].group);
		if (!group)
			group = cJSON_AddObjectToObject(counters, counter_names[i].group);
		cJSON_AddNumberToObject(group, counter_names[i].name, value[i]);
	}
}

static char *status_json(const struct supervisor *s)
{
	cJSON *server = cJSON_CreateObject();
	char *text;

	cJSON_AddNumberToObject(server, "pid", s->server.pid);
	cJSON_AddStringToObject(server, "exe", s->server.exe);
	cJSON_AddStringToObject(server, "build_id", image_build_id(s->image));
	cJSON_AddNumberToObject(server, "netns", s->server.netns);
	add_observers(server, s);
	add_kernel_observers(server, s);
	add_interfaces(server, &s->engine, &s->interfaces);
	add_bindings(server, &s->engine);
	add_counters(server, &s->engine);
	if (s->observers.snooped)
		add_snoop(server, &s->snoop);
	cJSON_AddNumberToObject(server, "memory_bytes", engine_memory(&s->engine));
	text = cJSON_PrintUnformatted(server);
	cJSON_Delete(server);
	return text;
}

/* Writes all, but never waits more than a second for a reader that doesn't read. */
static void status_write(int fd, const char *text)
{
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	size_t left = strlen(text);
	ssize_t sent;

	while (left && poll(&ready, 1, 1000) > 0) {
		sent = send(fd, text, left, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0)
			return;
		text += sent;
		left -= sent;
	}
}

void status_answer(const struct supervisor *s)
{
	int fd = accept4(s->socket, NULL, NULL, SOCK_CLOEXEC);
	char *text;

	if (fd < 0)
		return;
	text = status_json(s);
	if (text)
		status_write(fd, text);
	free(text);
	close(fd);
}
