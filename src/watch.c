// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <libmnl/libmnl.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "probes/cgroup.skel.h"
#include "probes/diag.skel.h"
#include "probes/fentry.skel.h"
#include "probes/kernel.skel.h"
#include "src/engine.h"
#include "src/pins.h"
#include "src/watch.h"

static const char *const watch_names[] = {
	[WATCH_AUTO] = "auto",
	[WATCH_FENTRY] = "fentry",
	[WATCH_CGROUP] = "cgroup",
	[WATCH_SOCK_DIAG] = "sock_diag",
};

const char *watch_source_name(enum watch_source source)
{
	return source < WATCH_NOTHING ? watch_names[source] : "none";
}

enum watch_source watch_source_of(const char *name)
{
	enum watch_source source = WATCH_AUTO;

	while (source < WATCH_NOTHING && strcmp(name, watch_names[source]))
		source++;
	return source;
}

/* Takes LINK over, which may be NULL with errno set. */
static int watch_keep(struct watch *watch, struct bpf_link *link, const char *name)
{
	if (!link)
		return -errno;
	watch->link[watch->links++] = link;
	return engine_pin(watch->engine, name, bpf_link__fd(link));
}

static int watch_share(struct watch *watch, struct bpf_object *object)
{
	struct bpf_map *seen = bpf_object__find_map_by_name(object, "seen_in_kernel");
	int err = engine_share(watch->engine, object);

	if (!err && seen)
		err = bpf_map__reuse_fd(seen, bpf_map__fd(watch->kernel->maps.seen_in_kernel));
	return err;
}

static int watch_process(struct watch *watch)
{
	int err;

	watch->kernel = kernel_bpf__open();
	err = watch->kernel ? engine_share(watch->engine, watch->kernel->obj) : -errno;
	if (!err)
		err = kernel_bpf__load(watch->kernel);
	if (!err)
		err = watch_keep(watch, bpf_program__attach(watch->kernel->progs.turnpike_exit),
				 "watch-exit");
	if (!err)
		err = watch_keep(watch, bpf_program__attach(watch->kernel->progs.turnpike_exec),
				 "watch-exec");
	if (!err)
		err = watch_keep(watch, bpf_program__attach(watch->kernel->progs.turnpike_crash),
				 "watch-crash");
	return err;
}

static int watch_fentry(struct watch *watch)
{
	struct bpf_program *v6;
	int err;

	watch->fentry = fentry_bpf__open();
	err = watch->fentry ? watch_share(watch, watch->fentry->obj) : -errno;
	if (!err)
		watch->fentry->rodata->max_bindings = watch->engine->max_bindings;
	if (!err)
		err = fentry_bpf__load(watch->fentry);
	if (err)
		return err;
	v6 = watch->fentry->progs.turnpike_udpv6;
	err = watch_keep(watch, bpf_program__attach(watch->fentry->progs.turnpike_udp),
			 "watch-socket");
	return err ? err : watch_keep(watch, bpf_program__attach(v6), "watch-socket6");
}

/* Where version 2 of control groups is mounted, alone or beside version 1. */
static int cgroup_root(void)
{
	FILE *mounts = setmntent("/proc/mounts", "r");
	struct mntent *mount;
	int fd = -ENOENT;

	while (mounts && (mount = getmntent(mounts))) {
		if (strcmp(mount->mnt_type, "cgroup2"))
			continue;
		fd = open(mount->mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		break;
	}
	if (mounts)
		endmntent(mounts);
	return fd;
}

static int watch_cgroup(struct watch *watch)
{
	int root = cgroup_root(), err;

	if (root < 0)
		return root;
	watch->cgroup = cgroup_bpf__open();
	err = watch->cgroup ? watch_share(watch, watch->cgroup->obj) : -errno;
	if (!err)
		watch->cgroup->rodata->max_bindings = watch->engine->max_bindings;
	if (!err)
		err = cgroup_bpf__load(watch->cgroup);
	if (!err)
		err = watch_keep(
			watch,
			bpf_program__attach_cgroup(watch->cgroup->progs.turnpike_release, root),
			"watch-socket");
	close(root);
	return err;
}

static int watch_sock_diag(struct watch *watch)
{
	int groups[] = {SKNLGRP_INET_UDP_DESTROY, SKNLGRP_INET6_UDP_DESTROY};
	int err;

	watch->diag = diag_bpf__open();
	err = watch->diag ? watch_share(watch, watch->diag->obj) : -errno;
	if (!err)
		watch->diag->rodata->max_bindings = watch->engine->max_bindings;
	if (!err)
		err = diag_bpf__load(watch->diag);
	if (err)
		return err;
	watch->destroyed = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!watch->destroyed || mnl_socket_bind(watch->destroyed, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (mnl_socket_setsockopt(watch->destroyed, NETLINK_ADD_MEMBERSHIP, &groups[i],
					  sizeof(int)))
			return -errno;
	return 0;
}

static void watch_sockets_stop(struct watch *watch, unsigned int links)
{
	while (watch->links > links)
		bpf_link__destroy(watch->link[--watch->links]);
	if (watch->destroyed)
		mnl_socket_close(watch->destroyed);
	fentry_bpf__destroy(watch->fentry);
	cgroup_bpf__destroy(watch->cgroup);
	diag_bpf__destroy(watch->diag);
	watch->destroyed = NULL;
	watch->fentry = NULL;
	watch->cgroup = NULL;
	watch->diag = NULL;
}

/* The first of them that this kernel lets us have; what the others lack is told in `why`. */
static void watch_sockets(struct watch *watch, enum watch_source wanted)
{
	static int (*const ways[])(struct watch *) = {
		[WATCH_FENTRY] = watch_fentry,
		[WATCH_CGROUP] = watch_cgroup,
		[WATCH_SOCK_DIAG] = watch_sock_diag,
	};
	unsigned int links = watch->links;
	size_t used = 0;
	int err;

	for (watch->source = WATCH_FENTRY; watch->source < WATCH_NOTHING; watch->source++) {
		if (wanted != WATCH_AUTO && watch->source != wanted)
			continue;
		err = ways[watch->source](watch);
		if (!err)
			return;
		watch_sockets_stop(watch, links);
		if (used < sizeof(watch->why))
			used += snprintf(watch->why + used, sizeof(watch->why) - used, "%s%s: %s",
					 used ? "; " : "", watch_names[watch->source],
					 strerror(-err));
	}
}

int watch_start(struct watch *watch, struct engine *engine, enum watch_source wanted)
{
	int err;

	memset(watch, 0, sizeof(*watch));
	watch->engine = engine;
	err = watch_process(watch);
	if (!err)
		watch_sockets(watch, wanted);
	return err;
}

void watch_stop(struct watch *watch)
{
	watch_sockets_stop(watch, 0);
	kernel_bpf__destroy(watch->kernel);
	watch->kernel = NULL;
}

int watch_fd(const struct watch *watch)
{
	return watch->destroyed ? mnl_socket_get_fd(watch->destroyed) : -1;
}

struct closed {
	struct watch *watch;
	uint32_t tgid;
};

static int watch_closed(const struct nlmsghdr *header, void *data)
{
	const struct inet_diag_msg *message = mnl_nlmsg_get_payload(header);
	struct closed *closed = data;
	struct tp_socket_key key = {.tgid = closed->tgid};
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &key, .ctx_size_in = sizeof(key));
	size_t length = message->idiag_family == AF_INET6 ? 16 : 4;

	memcpy(key.local, message->id.idiag_src, length);
	memcpy(key.remote, message->id.idiag_dst, length);
	key.local_port = message->id.idiag_sport;
	key.remote_port = message->id.idiag_dport;
	bpf_prog_test_run_opts(bpf_program__fd(closed->watch->diag->progs.turnpike_closed), &run);
	return MNL_CB_OK;
}

void watch_read(struct watch *watch, uint32_t tgid)
{
	struct closed closed = {watch, tgid};
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	ssize_t length;

	while ((length = mnl_socket_recvfrom(watch->destroyed, buffer, sizeof(buffer))) > 0)
		mnl_cb_run(buffer, length, 0, 0, watch_closed, &closed);
}

int watch_renew(const struct watch *watch, unsigned int seconds)
{
	struct tp_renew renew = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &renew, .ctx_size_in = sizeof(renew));
	struct timespec tick;

	/* The coarse clocks advance with the jiffies. */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick))
		return -errno;
	renew.ticks = seconds * 1000000000ULL / tick.tv_nsec;
	return bpf_prog_test_run_opts(bpf_program__fd(watch->kernel->progs.turnpike_renew), &run)
		       ? -errno
		       : 0;
}

uint64_t watch_seen(const struct watch *watch, enum tp_seen what)
{
	uint32_t key = what;
	uint64_t times = 0;

	bpf_map_lookup_elem(bpf_map__fd(watch->kernel->maps.seen_in_kernel), &key, &times);
	return times;
}
