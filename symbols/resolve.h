/* SPDX-License-Identifier: GPL-2.0-only */
/* A profile's names to places, by DWARF. Internal to symbols/. */
#ifndef TURNPIKE_SYMBOLS_RESOLVE_H
#define TURNPIKE_SYMBOLS_RESOLVE_H

#include "symbols/why.h"

struct image;
struct profile;
struct symbols;
struct symbols_event;
struct symbols_options;

/* As symbols_resolve(), without maps. */
int resolve_profile(struct image *image, const struct symbols_options *options,
		    struct symbols **ret, const struct why *why);

/* The first profile that names the executable; -ENOENT: none does. */
int resolve_find_profile(const struct image *image, const struct symbols_options *options,
			 struct profile **ret, const struct why *why);

/* Frees an event's probes: it has no source then. */
void symbols_event_clear(struct symbols_event *event);

#endif
