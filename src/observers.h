/* SPDX-License-Identifier: GPL-2.0-only */
/* Which source serves each event: the server's own functions, else its packets. */
#ifndef TURNPIKE_SRC_OBSERVERS_H
#define TURNPIKE_SRC_OBSERVERS_H

#include <stdbool.h>
#include "probes/plan.h"

struct symbols;
struct symbols_event;

enum observers_mode { OBSERVE_AUTO, OBSERVE_UPROBE, OBSERVE_SNOOP };

#define OBSERVERS     4
#define OBSERVERS_WHY 384

/* One event that the promises need, and why the better source isn't to be had; "" if it is. */
struct observer {
	enum tp_event_kind kind;
	bool snooped;
	char why[OBSERVERS_WHY];
};

struct observers {
	struct observer at[OBSERVERS];
	unsigned int snooped; /* bits of enum snoop_event */
};

/*
 * SYMBOLS may be NULL: there are none, and WITHOUT says why. With OBSERVE_UPROBE
 * nothing is snooped, whether an event has probes or not.
 */
void observers_choose(enum observers_mode mode, const struct symbols *symbols, const char *without,
		      struct observers *ret);

/* Are the event's probes to be attached? */
bool observers_probes(const struct observers *observers, enum tp_event_kind kind);

const struct observer *observers_of(const struct observers *observers, enum tp_event_kind kind);

#endif
