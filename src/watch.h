/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel itself tells of a server: its process ends, begins another
 * program or crashes; a socket of it is closed. And the lease on all of it.
 */
#ifndef TURNPIKE_SRC_WATCH_H
#define TURNPIKE_SRC_WATCH_H

#include <stdint.h>
#include "probes/probe.h"

struct bpf_link;
struct engine;
struct mnl_socket;

/* How closed sockets are seen, the best first. */
enum watch_source { WATCH_AUTO, WATCH_FENTRY, WATCH_CGROUP, WATCH_SOCK_DIAG, WATCH_NOTHING };

#define WATCH_LINKS 8
#define WATCH_WHY   160

struct watch {
	struct engine *engine;
	struct kernel_bpf *kernel;
	struct fentry_bpf *fentry;
	struct cgroup_bpf *cgroup;
	struct diag_bpf *diag;
	struct mnl_socket *destroyed; /* sock_diag's groups; in the server's network namespace */
	struct bpf_link *link[WATCH_LINKS];
	unsigned int links;
	enum watch_source source;
	char why[WATCH_WHY]; /* not a better one */
};

/* As --sockets and status have it. */
const char *watch_source_name(enum watch_source source);

/* From its name; WATCH_NOTHING if it is none. */
enum watch_source watch_source_of(const char *name);

/*
 * Attaches all, sockets by WANTED or by the best that this kernel has. In the
 * server's network namespace. What is attached is pinned with the engine.
 */
int watch_start(struct watch *watch, struct engine *engine, enum watch_source wanted);
/* Accepts what was not started. */
void watch_stop(struct watch *watch);

/* For poll(); -1: nothing comes that way. Then watch_read() takes what is there. */
int watch_fd(const struct watch *watch);
void watch_read(struct watch *watch, uint32_t tgid);

/* Everything may go on for so many seconds from now, with turnpike or without. */
int watch_renew(const struct watch *watch, unsigned int seconds);

/* How often it was seen. */
uint64_t watch_seen(const struct watch *watch, enum tp_seen what);

#endif
