/* SPDX-License-Identifier: GPL-2.0-only */
/* What parent and child say to each other over a SOCK_SEQPACKET socket. Internal to apart*.c. */
#ifndef TURNPIKE_SYMBOLS_APART_CHILD_H
#define TURNPIKE_SYMBOLS_APART_CHILD_H

#include <stdint.h>
#include "symbols/opener.h"

struct image;
struct symbols_options;

#define APART_DEBUG "/usr/lib/debug"
#define APART_PATH  4096

enum apart_kind { APART_OPEN, APART_LIST, APART_RESULT /* then bytes of the result */ };

struct apart_request {
	uint32_t kind;
	char path[APART_PATH];
};

/* With the descriptor, where one was asked for and could be had. */
struct apart_answer {
	int32_t err;
	char names[OPENER_LIST];
};

/* Gives up all rights, resolves, and sends the result. */
__attribute__((noreturn)) void apart_child(int socket, struct image *image, struct image *rebase,
					   const struct symbols_options *options);

#endif
