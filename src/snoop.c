// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/snoop.skel.h"
#include "src/engine.h"
#include "src/netlink.h"
#include "src/server.h"
#include "src/snoop.h"

#define SNOOP_SLOTS 4096 /* that one run of the sweep looks at */

int snoop_load(struct snoop *snoop, struct engine *engine)
{
	int err;

	snoop->engine = engine;
	snoop->skeleton = snoop_bpf__open();
	if (!snoop->skeleton)
		return -errno;
	snoop->skeleton->rodata->max_bindings = engine->max_bindings;
	snoop->skeleton->rodata->tick_ns = engine->tick_ns;
	err = engine_share(engine, snoop->skeleton->obj);
	if (!err)
		err = bpf_map__set_max_entries(snoop->skeleton->maps.snoop_allocations,
					       engine->max_bindings);
	if (!err)
		err = bpf_map__set_max_entries(snoop->skeleton->maps.snoop_permissions,
					       engine->max_bindings);
	if (!err)
		err = snoop_bpf__load(snoop->skeleton);
	if (err)
		return err;
	snoop->counts = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED,
			     bpf_map__fd(snoop->skeleton->maps.snoop_counts), 0);
	if (snoop->counts == MAP_FAILED) {
		snoop->counts = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* Where control groups of the second version are mounted; false: nowhere. */
static bool cgroup_mount(char *ret, size_t size)
{
	FILE *mounts = fopen("/proc/self/mounts", "re");
	char line[PATH_MAX], path[PATH_MAX], kind[32];
	bool found = false;

	while (!found && mounts && fgets(line, sizeof(line), mounts))
		found = sscanf(line, "%*s %4095s %31s", path, kind) == 2 &&
			!strcmp(kind, "cgroup2");
	if (mounts)
		fclose(mounts);
	if (found)
		snprintf(ret, size, "%s", path);
	return found;
}

/* The process's control group, below the mount: "/system.slice/coturn.service". */
static int cgroup_of(pid_t pid, char *ret, size_t size)
{
	char path[32], line[PATH_MAX];
	int err = -ENOENT;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	file = fopen(path, "re");
	while (err && file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "0::", 3))
			continue;
		snprintf(ret, size, "%s", line + 3);
		err = 0;
	}
	if (file)
		fclose(file);
	return err;
}

/* A descriptor of the server's control group, or negative errno and words in WHY. */
static int cgroup_open(const struct server *server, char *why, size_t size)
{
	char mount[PATH_MAX], group[PATH_MAX], path[2 * PATH_MAX];
	int fd;

	if (!cgroup_mount(mount, sizeof(mount))) {
		snprintf(why, size,
			 "no control groups are mounted that packets could be snooped by; "
			 "`mount -t cgroup2 none /sys/fs/cgroup/unified` or the like does it");
		return -ENOENT;
	}
	if (cgroup_of(server->pid, group, sizeof(group))) {
		snprintf(why, size, "process %d is in no control group (version 2)", server->pid);
		return -ENOENT;
	}
	snprintf(path, sizeof(path), "%s%s", mount, group);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		fd = -errno;
		snprintf(why, size,
			 "can't open the control group of process %d: %.200s; run turnpike in the "
			 "machine's own control group namespace",
			 server->pid, path);
	}
	return fd;
}

/* What retires is there before what commits. */
static int snoop_attach(struct snoop *snoop, int cgroup)
{
	const struct {
		struct bpf_program *program;
		enum bpf_attach_type type;
	} hooks[SNOOP_LINKS] = {
		{snoop->skeleton->progs.turnpike_snoop_release, BPF_CGROUP_INET_SOCK_RELEASE},
		{snoop->skeleton->progs.turnpike_snoop_in, BPF_CGROUP_INET_INGRESS},
		{snoop->skeleton->progs.turnpike_snoop_out, BPF_CGROUP_INET_EGRESS},
	};
	int fd;

	for (int i = 0; i < SNOOP_LINKS; i++) {
		fd = bpf_link_create(bpf_program__fd(hooks[i].program), cgroup, hooks[i].type,
				     NULL);
		if (fd < 0)
			return fd;
		snoop->link[snoop->links++] = fd;
	}
	return 0;
}

/* RFC 8656's port and its likes: STUN, TURN, their TLS and alternative ports. */
static bool is_known_port(unsigned int port)
{
	return port == 3478 || port == 3479 || port == 5349 || port == 5350;
}

#define SNOOP_EPHEMERAL 32768 /* servers without a profile have relays from here on */

struct listeners {
	struct snoop *snoop;
	unsigned int count, known, other;
	uint32_t index;
	bool only_known;
	int err;
};

static bool is_listener(const struct listeners *l, unsigned int port)
{
	const struct settings *s = &l->snoop->settings;

	if (s->low_port)
		return port < s->low_port || port > s->high_port;
	return l->only_known ? is_known_port(port) : port == l->other;
}

static void listener_count(const struct server_socket *socket, void *data)
{
	struct listeners *l = data;
	unsigned int port = ntohs(socket->port);

	if (is_known_port(port))
		l->known++;
	else if (port && port < SNOOP_EPHEMERAL)
		l->other = l->other && l->other != port ? UINT_MAX : port;
}

static void listener_add(const struct server_socket *socket, void *data)
{
	struct listeners *l = data;
	int map = bpf_map__fd(l->snoop->skeleton->maps.snoop_listeners);

	uint32_t value = l->index;

	if (is_listener(l, ntohs(socket->port)))
		l->count++;
	else
		value |= SNOOP_RELAY;
	if (bpf_map_update_elem(map, &socket->cookie, &value, BPF_ANY))
		l->err = -errno;
}

static int snoop_listen(struct snoop *snoop, const struct server *server, char *why, size_t size)
{
	struct listeners l = {.snoop = snoop};
	int err = server_udp_sockets(server, listener_count, &l);

	l.only_known = l.known;
	if (!err)
		err = server_udp_sockets(server, listener_add, &l);
	if (!err)
		err = l.err;
	snoop->listeners = l.count;
	if (err)
		snprintf(why, size, "can't list the sockets of process %d: %s", server->pid,
			 strerror(-err));
	if (err || l.count)
		return err;
	snprintf(why, size,
		 "which UDP sockets of process %d it listens with can't be told; is it a TURN "
		 "server, "
		 "and up?",
		 server->pid);
	return -ENOENT;
}

struct addresses {
	struct stun_address address[SNOOP_ADDRESSES];
	size_t count;
};

static void address_found(uint32_t ifindex, const struct address *address, void *data)
{
	struct addresses *all = data;
	struct stun_address one = {.family = address->family};

	(void)ifindex;
	memcpy(one.address, address->byte, sizeof(one.address));
	if (address->family == AF_INET ? address->byte[0] == 127
				       : address->byte[0] == 0xfe && address->byte[1] >> 6 == 2)
		return;
	if (all->count < SNOOP_ADDRESSES)
		all->address[all->count] = one;
	all->count++;
}

/* The one address of the family; none if there are more, or fewer. */
static struct stun_address only_address(const struct addresses *all, uint16_t family)
{
	struct stun_address only = {};
	int count = 0;

	for (size_t i = 0; i < all->count && i < SNOOP_ADDRESSES; i++)
		if (all->address[i].family == family && !count++)
			only = all->address[i];
	return count == 1 ? only : (struct stun_address){};
}

void snoop_addresses(struct snoop *snoop, struct netlink *netlink)
{
	struct stun_address only;
	struct addresses all = {};
	uint8_t source[16];
	int map;

	if (!snoop->skeleton)
		return;
	/* With more than fit, which is the one can't be told: then none is. */
	if (netlink_addresses(netlink, address_found, &all) || all.count > SNOOP_ADDRESSES)
		memset(&all, 0, sizeof(all));
	/* Routes may have changed with them. */
	map = bpf_map__fd(snoop->skeleton->maps.snoop_sources);
	while (!bpf_map_get_next_key(map, NULL, source))
		bpf_map_delete_elem(map, source);
	map = bpf_map__fd(snoop->skeleton->maps.snoop_addresses);
	for (uint32_t i = 0; i < SNOOP_ADDRESSES; i++)
		bpf_map_update_elem(map, &i, &all.address[i], BPF_ANY);
	map = bpf_map__fd(snoop->skeleton->maps.snoop_only_address);
	for (uint32_t i = 0; i < TP_FAMILIES; i++) {
		only = only_address(&all, i == TP_V6 ? AF_INET6 : AF_INET);
		bpf_map_update_elem(map, &i, &only, BPF_ANY);
	}
}

int snoop_start(struct snoop *snoop, const struct server *server, struct netlink *netlink,
		unsigned int events, char *why, size_t size)
{
	const struct snoop_server settings = {
		.tgid = server->pid,
		.events = events,
		.channel = snoop->settings.channel,
		.bind_permission = snoop->settings.bind_permission,
		.permission = snoop->settings.permission,
	};
	uint32_t index = 0;
	int cgroup, err;

	snoop->events = events;
	snoop_addresses(snoop, netlink);
	if (bpf_map_update_elem(bpf_map__fd(snoop->skeleton->maps.snoop_servers), &index, &settings,
				BPF_ANY)) {
		snprintf(why, size, "can't write a map: %s", strerror(errno));
		return -errno;
	}
	cgroup = cgroup_open(server, why, size);
	if (cgroup < 0)
		return cgroup;
	err = snoop_attach(snoop, cgroup);
	close(cgroup);
	if (err) {
		snprintf(why, size, "can't attach to the control group of process %d: %s",
			 server->pid, strerror(-err));
		return err;
	}
	return snoop_listen(snoop, server, why, size);
}

/* By which of its addresses the machine sends to PEER; false: it can't. */
static bool source_of(const struct stun_address *peer, uint8_t *ret)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = peer->port};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = peer->port};
	struct sockaddr *address = (struct sockaddr *)&v4;
	socklen_t length = sizeof(v4);
	int fd = socket(peer->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool found;

	memcpy(&v4.sin_addr, peer->address, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, peer->address, sizeof(v6.sin6_addr));
	if (peer->family == AF_INET6) {
		address = (struct sockaddr *)&v6;
		length = sizeof(v6);
	}
	found = fd >= 0 && !connect(fd, address, length) && !getsockname(fd, address, &length);
	if (fd >= 0)
		close(fd);
	memset(ret, 0, 16);
	if (peer->family == AF_INET6)
		memcpy(ret, &v6.sin6_addr, sizeof(v6.sin6_addr));
	else
		memcpy(ret, &v4.sin_addr, sizeof(v4.sin_addr));
	return found;
}

static int on_question(void *context, void *data, size_t size)
{
	const struct snoop_question *question = data;
	struct snoop_learn_key who;
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &who, .data_size_in = sizeof(who));
	struct snoop *snoop = context;
	uint8_t source[16];

	if (size < sizeof(*question) || !source_of(&question->peer, source))
		return 0;
	who = question->who;
	bpf_map_update_elem(bpf_map__fd(snoop->skeleton->maps.snoop_sources),
			    question->peer.address, source, BPF_ANY);
	bpf_prog_test_run_opts(bpf_program__fd(snoop->skeleton->progs.turnpike_snoop_settle), &run);
	return 0;
}

int snoop_answer(struct snoop *snoop, struct ring_buffer *ring)
{
	return ring_buffer__add(ring, bpf_map__fd(snoop->skeleton->maps.snoop_questions),
				on_question, snoop);
}

void snoop_sweep(struct snoop *snoop)
{
	uint8_t packet[64] = {};
	struct __sk_buff context = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet),
		    .ctx_in = &context, .ctx_size_in = sizeof(context));
	uint32_t used, key = 0;
	struct tp_taken taken;
	int program;

	if (!snoop->skeleton ||
	    bpf_map_lookup_elem(bpf_map__fd(snoop->skeleton->maps.taken), &key, &taken))
		return;
	program = bpf_program__fd(snoop->skeleton->progs.turnpike_snoop_sweep);
	used = taken.bindings < snoop->engine->max_bindings ? taken.bindings
							    : snoop->engine->max_bindings;
	for (context.mark = 0; context.mark < used; context.mark += SNOOP_SLOTS)
		if (bpf_prog_test_run_opts(program, &run))
			break;
}

void snoop_free(struct snoop *snoop)
{
	while (snoop->links)
		close(snoop->link[--snoop->links]);
	if (snoop->counts)
		munmap(snoop->counts, sysconf(_SC_PAGESIZE));
	snoop_bpf__destroy(snoop->skeleton);
	memset(snoop, 0, sizeof(*snoop));
}
