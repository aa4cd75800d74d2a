/* SPDX-License-Identifier: GPL-2.0-only */
/* What a running server was told by its command line and its settings file, as far as packets don't
 * say it. */
#ifndef TURNPIKE_SRC_SETTINGS_H
#define TURNPIKE_SRC_SETTINGS_H

#include <stdbool.h>

struct server;
struct symbols_wire;

/* Lifetimes in seconds. Of what is said more than once, the least counts. */
struct settings {
	unsigned int channel, permission;
	unsigned int bind_permission;	  /* that a ChannelBind gives to its peer's permission */
	unsigned int low_port, high_port; /* that it relays from; 0: not known */
	bool limited;			  /* it limits the bandwidth of sessions */
};

/*
 * WIRE NULL: of a server without a profile. Then it is RFC 8656's lifetimes that
 * are taken, and no more.
 */
int settings_read(const struct server *server, const struct symbols_wire *wire,
		  struct settings *ret);

#endif
