/* SPDX-License-Identifier: GPL-2.0-only */
/* A server's process: who it is, where its network is, which sockets it has. */
#ifndef TURNPIKE_SRC_SERVER_H
#define TURNPIKE_SRC_SERVER_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "src/address.h"

struct server {
	pid_t pid;
	uid_t uid;	    /* that it runs as */
	int pidfd;	    /* readable once the process has ended */
	char exe_link[32];  /* /proc/PID/exe: opens the right file in any mount namespace */
	char exe[PATH_MAX]; /* what it links to, for people */
	uint64_t netns;	    /* inode of its network namespace */
};

/* WHY gets words for the user on failure. -ESRCH: no such process, -EINVAL: a thread's id. */
int server_open(pid_t pid, struct server *ret, char *why, size_t size);
void server_close(struct server *server);

/* Moves the calling process into the server's network namespace. */
int server_enter_network(const struct server *server);

struct server_socket {
	struct address address;
	uint16_t port;	 /* network order */
	uint64_t cookie; /* the kernel's own name of it */
};

typedef void server_socket_fn(const struct server_socket *socket, void *data);

/* Calls EACH for every UDP socket of the process; in the server's network namespace. */
int server_udp_sockets(const struct server *server, server_socket_fn *each, void *data);

/* Local addresses of its UDP sockets, each once, wildcards too; at most SIZE of them. */
int server_udp_addresses(const struct server *server, struct address *ret, size_t size);

#endif
