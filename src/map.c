// SPDX-License-Identifier: GPL-2.0-only
/* The `map` command: writes the symbol map of a build. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "src/commands.h"
#include "src/log.h"
#include "src/options.h"
#include "src/target.h"
#include "symbols/symbols.h"

struct map {
	struct target target;
};

enum { OPTION_FOR = 'f', OPTION_PROFILES = 256 };

static const struct argp_option map_options[] = {
	{"for", OPTION_FOR, "STRIPPED", 0,
	 "the map is for this program: the same code as BINARY, but stripped", 0},
	{"profiles", OPTION_PROFILES, "DIR", 0, "take server profiles from here", 0},
	{},
};

static error_t map_parse(int key, char *argument, struct argp_state *state)
{
	struct map *map = state->input;

	switch (key) {
	case OPTION_FOR:
		map->target.same_code = argument;
		return 0;
	case OPTION_PROFILES:
		map->target.profiles_dir = argument;
		return options_directory("--profiles", argument);
	case ARGP_KEY_ARG:
		if (map->target.path)
			return options_error("unexpected argument `%s`: one program at a time",
					     argument);
		map->target.path = argument;
		return 0;
	case ARGP_KEY_END:
		if (!map->target.path)
			return options_error("which program? give the path of one with debug "
					     "information");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static int map_write(const struct map *map)
{
	const struct symbols *symbols = map->target.symbols;
	int err;

	if (!*symbols->build_id) {
		log_error("%s has no build-id, by which its map would be found; link it with "
			  "--build-id",
			  map->target.path);
		return -ENODATA;
	}
	for (unsigned int i = 0; i < symbols->events; i++)
		if (!symbols->event[i].probes)
			log_warning("event `%s` has no source in this build: %.*s",
				    symbols_event_name(symbols->event[i].kind),
				    (int)strcspn(symbols->event[i].why, "\n"),
				    symbols->event[i].why);
	err = symbols_write_map(symbols, stdout);
	if (err)
		log_error("can't write the map: %s", strerror(-err));
	return err;
}

int map_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = map_options,
		.parser = map_parse,
		.args_doc = "BINARY",
		.doc = "Writes the symbol map of a program that has debug information to stdout. "
		       "It is found under <build-id>.yaml in --symbols or /etc/turnpike/symbols.",
	};
	struct map map = {.target.no_map = true};
	int err;

	if (!options_parse(&argp, argc, argv, &map))
		return EXIT_USAGE;
	err = target_open(&map.target);
	if (!err)
		err = map_write(&map);
	target_close(&map.target);
	return err ? EXIT_FAILED : EXIT_DONE;
}
