/* SPDX-License-Identifier: GPL-2.0-only */
/* What `turnpike status` shows: made by the running turnpike, asked for over a socket. */
#ifndef TURNPIKE_SRC_STATUS_H
#define TURNPIKE_SRC_STATUS_H

#include <stdbool.h>
#include <sys/types.h>

#define STATUS_DIRECTORY "/run/turnpike"

#define STATUS_FOLLOWER	 "follow-" /* a socket's name, then the process that follows servers */

struct supervisor;

/* Listens for questions about the server PID; replaces a killed run's socket. -EBUSY: another
 * turnpike serves it. */
int status_listen(pid_t pid);
/* The process that serves this server; 0: none does. */
pid_t status_process(pid_t pid);
/* A process that follows servers can be found; -errno. */
int status_follow(void);
void status_follow_close(int socket);
/* The process behind the socket NAME of the directory; 0: it's no such socket, or nobody listens.
 */
pid_t status_follower(const char *name);
/* Pids of servers that may be served, ended by a 0; to be freed. NULL: no memory. */
pid_t *status_served(void);
/* Does a turnpike that runs serve this server? */
bool status_is_served(pid_t pid);
void status_close(int socket, pid_t pid);

/* Answers one waiting question. */
void status_answer(const struct supervisor *s);

#endif
