/* SPDX-License-Identifier: GPL-2.0-only */
/* Where in the kernel's receive path an interface's packets are looked at. */
#ifndef TURNPIKE_SRC_HOOK_H
#define TURNPIKE_SRC_HOOK_H

#include <stdbool.h>
#include <stdint.h>

struct engine;

enum hook { HOOK_AUTO, HOOK_XDP, HOOK_XDP_GENERIC, HOOK_TC };

/* As --hook and status have it. */
const char *hook_name(enum hook hook);
/* False if TEXT is no hook's name. */
bool hook_parse(const char *text, enum hook *ret);

/* A program on an interface. */
struct hook_link {
	int fd;		   /* BPF link: closing it detaches; -1: none */
	uint32_t filter;   /* clsact's handle if there are no links (before Linux 6.6); 0: none */
	uint32_t priority; /* and its priority */
	uint32_t ifindex;
	bool frags; /* the multi-buffer variant, for frames larger than a page */
};

/*
 * Attaches HOOK's program, which is not HOOK_AUTO, to an interface of the calling
 * thread's network namespace.
 */
int hook_attach(struct engine *engine, uint32_t ifindex, enum hook hook, struct hook_link *ret);

/*
 * An earlier run's BPF link: our program takes the place of the one that is there,
 * in one step. FD is the link's then, else still the caller's.
 */
int hook_adopt(struct engine *engine, uint32_t ifindex, int fd, enum hook *ret_hook,
	       struct hook_link *ret);

/* Accepts what isn't attached. */
void hook_detach(struct hook_link *link);

#endif
