/* SPDX-License-Identifier: GPL-2.0-only */
/* What `turnpike status` shows: made by the running turnpike, asked for over a socket. */
#ifndef TURNPIKE_SRC_STATUS_H
#define TURNPIKE_SRC_STATUS_H

#include <stdbool.h>
#include <sys/types.h>

#define STATUS_DIRECTORY "/run/turnpike"

struct supervisor;

/* Listens for questions about the server PID; replaces a killed run's socket. -EBUSY: another
 * turnpike serves it. */
int status_listen(pid_t pid);
/* The process that serves this server; 0: none does. */
pid_t status_process(pid_t pid);
/* Pids of servers that may be served, ended by a 0; to be freed. NULL: no memory. */
pid_t *status_served(void);
/* Does a turnpike that runs serve this server? */
bool status_is_served(pid_t pid);
void status_close(int socket, pid_t pid);

/* Answers one waiting question. */
void status_answer(const struct supervisor *s);

#endif
