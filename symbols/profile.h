/* SPDX-License-Identifier: GPL-2.0-only */
/* A profile: what to look for in one kind of server, by name. */
#ifndef TURNPIKE_SYMBOLS_PROFILE_H
#define TURNPIKE_SYMBOLS_PROFILE_H

#include <stdbool.h>
#include "probes/plan.h"
#include "symbols/why.h"

struct profile_check {
	char *expression;
	char *is;      /* "== 17", or "== expression" */
	int otherwise; /* enum tp_refusal */
};

/* The table that a walk goes through; the names but the first are members of its buckets. */
struct profile_walk {
	char *table;		 /* expression: an array of buckets */
	char *slots;		 /* an array of elements */
	char *more, *more_count; /* a pointer to an array of pointers to elements, and how many */
};

struct profile_probe {
	char *function;
	int at;			    /* enum names_at */
	int inlined;		    /* enum names_inlined: what of inlined copies of the function */
	struct profile_walk *walk;  /* or NULL */
	unsigned int every, lasts;  /* seconds, see struct tp_plan */
	struct profile_check *each; /* checks on each element of the walk */
	unsigned int each_count;
	char *when; /* condition on the return value, or NULL */
	struct profile_fields {
		char *expression[TP_FIELDS]; /* NULL: not in this probe */
	} fields;
	struct profile_check *checks;
	unsigned int checks_count;
};

struct profile_source {
	struct profile_probe *probes;
	unsigned int probes_count;
};

struct profile_event {
	int event; /* enum tp_event_kind */
	bool required;
	struct profile_source *sources;
	unsigned int sources_count;
};

/* What a server's packets don't say; see struct symbols_wire. */
struct profile_wire {
	unsigned int channel_lifetime, permission_lifetime;
	bool bind_lifts_permission;
	unsigned int low_port, high_port;
	char *channel_option, *permission_option, *limit_option, *low_port_option,
		*high_port_option;
	char *settings_option, *no_settings_option;
	char **settings_files;
	unsigned int settings_files_count;
};

struct profile {
	char *server;
	char *binary; /* basename of the executable */
	struct profile_wire *wire;
	struct profile_event *events;
	unsigned int events_count;
};

struct opener;

/* -EINVAL with WHY: malformed, or words that mean nothing. */
int profile_load(const char *path, const struct opener *opener, struct profile **ret,
		 const struct why *why);
void profile_free(struct profile *profile);

#endif
