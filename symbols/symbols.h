/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From an executable to plans: by a symbol map made for its build, else by
 * DWARF and the server's profile. This is all that the rest of turnpike needs
 * of symbols/.
 */
#ifndef TURNPIKE_SYMBOLS_SYMBOLS_H
#define TURNPIKE_SYMBOLS_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "probes/plan.h"

struct image;

#define SYMBOLS_CODE   16 /* bytes of code at a probed offset that a map's fingerprint covers */
#define SYMBOLS_WHY    256
#define SYMBOLS_PROBES 32 /* of one event */

/* One place in the server's code and what to fetch there. */
struct symbols_probe {
	char *function;
	uint64_t address;	    /* ELF virtual address of the function's entry */
	uint64_t offset;	    /* the same as an offset in the file: where to attach */
	uint8_t code[SYMBOLS_CODE]; /* the code bytes there */
	struct tp_plan plan;
	char *expression[TP_FIELDS]; /* C expression of each field in use, or NULL */
	char *check_expression[TP_PLAN_CHECKS];
	char *other_expression[TP_PLAN_CHECKS]; /* what a check compares with, or NULL: a number */
	char *walk_expression;			/* the table that is walked, or NULL */
	char *within; /* an inlined copy: the function that it is in; else NULL */
};

/* One source of an event: what a profile asks for, and what became of it. */
struct symbols_source {
	char *name; /* "turn_channel_delete, delete_channel_info_from_allocation_map" */
	char *why;  /* why it isn't used, "" if it is */
};

/* One event: the source that was chosen, or why none could be. */
struct symbols_event {
	enum tp_event_kind kind;
	bool required; /* without it turnpike can't keep its promises for this server */
	struct symbols_probe *probe; /* all of them are to be attached */
	unsigned int probes;	     /* 0: no source resolved */
	/* All of the profile's, in order; none if they come from a map. */
	struct symbols_source *source;
	unsigned int sources;
	/* What was tried and not taken, one line a source, '\n' between; "" if the first was taken.
	 */
	char *why;
};

struct symbols {
	char *server;	    /* "coturn" */
	char *build_id;	    /* hex, "" if the executable has none */
	const char *origin; /* "map" or "dwarf" */
	char *made_from;    /* the compiler, in its own words; may be "" */
	char *origin_path;  /* file of the map or of the debug information */
	struct symbols_event *event;
	unsigned int events;
};

#define SYMBOLS_DIRECTORIES 4

struct symbols_options {
	/* Searched in order; unused ones are NULL. */
	const char *map_dir[SYMBOLS_DIRECTORIES];     /* for <build-id>.yaml */
	const char *profile_dir[SYMBOLS_DIRECTORIES]; /* for *.yaml */
	bool no_map;				      /* DWARF only */
	const char *root; /* where the program's own file system is: "/proc/PID/root"; or NULL */
	const char *debug_file; /* its debug information, if that was found otherwise; or NULL */
};

/*
 * Resolves all events of IMAGE. On failure nothing is returned and WHY (of
 * SYMBOLS_WHY bytes) says what is wrong, in words fit for the user:
 * -ENOENT: no profile names this executable (it isn't a TURN server that is known),
 * -ENODATA: neither a symbol map nor DWARF, -ESTALE: a map for this build was refused
 * (build-id or fingerprint), -EINVAL: malformed YAML, or a profile names what doesn't exist.
 * Events that can't be resolved are no failure: they come with probes == 0 and why.
 */
int symbols_resolve(struct image *image, const struct symbols_options *options,
		    struct symbols **ret, char *why);
void symbols_free(struct symbols *symbols);

/* Writes SYMBOLS as a symbol map (YAML). */
int symbols_write_map(const struct symbols *symbols, FILE *out);

/*
 * Makes SYMBOLS, resolved in FROM, those of TO: another build, stripped, of the
 * same code. -EINVAL with WHY: the code differs in more than where its data is,
 * and a library's version.
 */
int symbols_rebase(struct symbols *symbols, const struct image *from, const struct image *to,
		   char *why);

#define SYMBOLS_OPTION 64
#define SYMBOLS_FILES  16

/*
 * What a server's packets don't say, by its profile: lifetimes in seconds, the
 * ports that it relays from, and how its options change these. An empty name:
 * there is no such option.
 */
struct symbols_wire {
	char server[SYMBOLS_OPTION];
	unsigned int channel_lifetime, permission_lifetime;
	bool bind_lifts_permission; /* a ChannelBind gives it the channel's lifetime */
	unsigned int low_port, high_port;
	char channel_option[SYMBOLS_OPTION], permission_option[SYMBOLS_OPTION];
	char limit_option[SYMBOLS_OPTION]; /* limits a session's bandwidth */
	char low_port_option[SYMBOLS_OPTION], high_port_option[SYMBOLS_OPTION];
	char settings_option[SYMBOLS_OPTION], no_settings_option[SYMBOLS_OPTION];
	char settings_file[SYMBOLS_FILES][256];
	unsigned int settings_files;
};

/* -ENOENT: no profile names IMAGE, or its profile doesn't say. */
int symbols_wire(const struct image *image, const struct symbols_options *options,
		 struct symbols_wire *ret);

const char *symbols_event_name(enum tp_event_kind kind); /* "commit" */
const char *symbols_field_name(enum tp_field_id field);	 /* "client" */
const char *symbols_read_name(enum tp_read read);	 /* "u16" */
const char *symbols_base_name(unsigned int base);	 /* "arg0", "rbx" */
/* "== 17", a check's condition; OTHER: the expression that is compared with, or NULL. */
void symbols_condition_text(const struct tp_check *check, const char *other, char *ret,
			    size_t size);

#endif
