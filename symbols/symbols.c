// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/image.h"
#include "symbols/map.h"
#include "symbols/resolve.h"
#include "symbols/symbols.h"

/* The map of this build in the first folder that has one; -ENOENT: none has. */
static int find_map(const struct image *image, const struct symbols_options *options,
		    struct symbols **ret, const struct why *why)
{
	const char *id = image_build_id(image);
	char path[PATH_MAX];
	int err = -ENOENT;

	for (int i = 0; *id && err == -ENOENT && i < SYMBOLS_DIRECTORIES; i++)
		if (options->map_dir[i] && snprintf(path, sizeof(path), "%s/%s.yaml",
						    options->map_dir[i], id) < (int)sizeof(path))
			err = map_read(path, image, ret, why);
	return err;
}

int symbols_resolve(struct image *image, const struct symbols_options *options,
		    struct symbols **ret, char *text)
{
	const struct why why = {text, SYMBOLS_WHY};
	int err = -ENOENT;

	if (!options->no_map)
		err = find_map(image, options, ret, &why);
	if (err == -ENOENT)
		err = resolve_profile(image, options, ret, &why);
	return err;
}

static void probe_free(struct symbols_probe *probe)
{
	for (int i = 0; i < TP_FIELDS; i++)
		free(probe->expression[i]);
	for (int i = 0; i < TP_PLAN_CHECKS; i++) {
		free(probe->check_expression[i]);
		free(probe->other_expression[i]);
	}
	free(probe->walk_expression);
	free(probe->within);
	free(probe->function);
}

void symbols_event_clear(struct symbols_event *event)
{
	for (unsigned int i = 0; i < event->probes; i++)
		probe_free(&event->probe[i]);
	free(event->probe);
	event->probe = NULL;
	event->probes = 0;
}

void symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	for (unsigned int i = 0; i < symbols->events; i++) {
		struct symbols_event *event = &symbols->event[i];

		symbols_event_clear(event);
		for (unsigned int j = 0; j < event->sources; j++) {
			free(event->source[j].name);
			free(event->source[j].why);
		}
		free(event->source);
		free(event->why);
	}
	free(symbols->event);
	free(symbols->origin_path);
	free(symbols->made_from);
	free(symbols->build_id);
	free(symbols->server);
	free(symbols);
}
