/* SPDX-License-Identifier: GPL-2.0-only */
/* Learning from a server's packets: what runs of bpf/snoop.bpf.c, and for which events. */
#ifndef TURNPIKE_SRC_SNOOP_H
#define TURNPIKE_SRC_SNOOP_H

#include <stdbool.h>
#include <stdint.h>
#include "bpf/snoop.h"
#include "src/settings.h"

struct engine;
struct netlink;
struct ring_buffer;
struct server;

enum { SNOOP_LINKS = 3 };

struct snoop {
	struct snoop_bpf *skeleton; /* NULL: nothing is snooped */
	struct engine *engine;	    /* not owned */
	uint64_t *counts;	    /* by enum snoop_count */
	int link[SNOOP_LINKS];
	int links;
	unsigned int events;	/* bits of enum snoop_event */
	unsigned int listeners; /* sockets that the server listens with */
	struct settings settings;
};

/* Loads the programs, sharing ENGINE's maps; attaches nothing. Says nothing on failure. */
int snoop_load(struct snoop *snoop, struct engine *engine);

/*
 * Begins to take EVENTS of SERVER (whose network namespace the caller is in) from
 * packets. WHY gets words for the user on failure.
 */
int snoop_start(struct snoop *snoop, const struct server *server, struct netlink *netlink,
		unsigned int events, char *why, size_t size);

/* The machine's addresses have changed, or may have. */
void snoop_addresses(struct snoop *snoop, struct netlink *netlink);

/* Lets RING answer what the programs want to know of the machine. Negative errno on failure. */
int snoop_answer(struct snoop *snoop, struct ring_buffer *ring);

/* To be called every second or so: frees the records of bindings that have ended. */
void snoop_sweep(struct snoop *snoop);

/* Detaches everything. Accepts a zeroed one. */
void snoop_free(struct snoop *snoop);

#endif
