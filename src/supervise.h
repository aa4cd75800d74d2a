/* SPDX-License-Identifier: GPL-2.0-only */
/* One server and all that turnpike has attached for it. */
#ifndef TURNPIKE_SRC_SUPERVISE_H
#define TURNPIKE_SRC_SUPERVISE_H

#include <stdbool.h>
#include "probes/attach.h"
#include "src/engine.h"
#include "src/hops.h"
#include "src/interfaces.h"
#include "src/observers.h"
#include "src/server.h"
#include "src/snoop.h"
#include "src/watch.h"

struct image;
struct netlink;
struct ring_buffer;
struct symbols;

struct supervise_options {
	pid_t pid;
	const char *interfaces; /* NULL: found by themselves */
	enum hook hook;
	enum observers_mode mode;
	__u32 max_bindings;
	unsigned int lease; /* seconds that all goes on without us */
	enum watch_source sockets;
	const char *symbols_dir, *profiles_dir; /* NULL: the usual places */
};

struct supervisor {
	struct supervise_options options;
	struct server server;
	struct image *image;
	struct symbols *symbols; /* NULL: all is snooped */
	struct observers observers;
	struct engine engine;
	struct snoop snoop;
	struct attach attach;
	struct watch watch;
	struct interfaces interfaces;
	struct netlink *netlink;
	struct hops hops;
	struct ring_buffer *notices;
	time_t swept; /* when the table was last swept; seconds */
	int socket;   /* where `turnpike status` asks */
	bool server_gone, full_said;
};

#define SUPERVISE_WHY 1024

/* Attaches everything, or nothing: WHY then has the one line for the user. */
int supervise_start(struct supervisor *s, const struct supervise_options *options, char *why);

/* Until SIGINT or SIGTERM (0), or until the server is gone (-ESRCH). */
int supervise_loop(struct supervisor *s);

/* Detaches everything: packets pass first, then observers go. Accepts a started half. */
void supervise_stop(struct supervisor *s);

#endif
