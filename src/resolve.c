// SPDX-License-Identifier: GPL-2.0-only
/* The `resolve` command: a dry run of where each event would be observed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>
#include "src/commands.h"
#include "src/options.h"
#include "src/target.h"
#include "symbols/image.h"
#include "symbols/symbols.h"

struct resolve {
	struct target target;
	bool json;
};

/* "arg0 +24 -> +120": register, offset, dereference, offset. */
static void path_text(const struct tp_path *path, char *ret, size_t size)
{
	size_t used = snprintf(ret, size, "%s", symbols_base_name(path->base));

	for (unsigned int i = 0; i < path->count && used < size; i++)
		used += snprintf(ret + used, size - used, "%s %+d", i ? " ->" : "",
				 path->offset[i]);
}

static void print_path(const char *name, const char *expression, const struct tp_path *path)
{
	char text[128];

	path_text(path, text, sizeof(text));
	printf("    %-20s%-9s%-28s%s\n", name, symbols_read_name(path->read), text, expression);
}

static void print_check(const char *label, const struct symbols_probe *probe, unsigned int index)
{
	const struct tp_check *check = &probe->plan.check[index];
	char text[256];

	print_path(label, probe->check_expression[index], &check->path);
	symbols_condition_text(check, probe->other_expression[index], text, sizeof(text));
	printf("    %-20s%s\n", "", text);
}

/* "at its entry", "at its return", "inlined in f" */
static void place_text(const struct symbols_probe *probe, char *ret, size_t size)
{
	if (probe->within)
		snprintf(ret, size, "inlined in %s", probe->within);
	else
		snprintf(ret, size, "at its %s",
			 probe->plan.flags & TP_PLAN_AT_RETURN ? "return" : "entry");
}

static void print_probe(const struct symbols_probe *probe)
{
	const struct tp_plan *plan = &probe->plan;
	char text[128];

	place_text(probe, text, sizeof(text));
	printf("  %s, %s, address 0x%llx, file offset 0x%llx\n", probe->function, text,
	       (unsigned long long)probe->address, (unsigned long long)probe->offset);
	for (int i = 0; i < TP_FIELDS; i++)
		if (plan->field[i].read)
			print_path(symbols_field_name(i), probe->expression[i], &plan->field[i]);
	for (unsigned int i = 0; i < plan->checks; i++)
		print_check("if", probe, i);
	if (plan->walk.buckets)
		printf("    %-20s%s: %u buckets of %u bytes, %u channels in each, then a list\n",
		       "for each of", probe->walk_expression, plan->walk.buckets,
		       plan->walk.bucket_size, plan->walk.slots);
	for (unsigned int i = plan->checks; i < plan->checks + plan->each; i++)
		print_check("if", probe, i);
}

/* What became of a source: the first one without a reason against it is used. */
static const char *source_state(const struct symbols_event *event, unsigned int index)
{
	if (*event->source[index].why)
		return "not used";
	for (unsigned int i = 0; i < index; i++)
		if (!*event->source[i].why)
			return "not needed";
	return "used";
}

static void print_event(const struct symbols_event *event)
{
	printf("\n%s: %s\n", symbols_event_name(event->kind),
	       event->probes	 ? "uprobe"
	       : event->required ? "NOT OBSERVABLE, and required"
				 : "not observable");
	for (unsigned int i = 0; i < event->sources; i++)
		printf("  source %u, %s: %s%s%s\n", i + 1, event->source[i].name,
		       source_state(event, i), *event->source[i].why ? ": " : "",
		       event->source[i].why);
	for (unsigned int i = 0; i < event->probes; i++)
		print_probe(&event->probe[i]);
}

static void print_text(const struct target *target)
{
	const struct symbols *symbols = target->symbols;

	printf("%s, build-id %s\n%s, symbols by %s: %s\n", image_path(target->image),
	       *symbols->build_id ? symbols->build_id : "(none)", symbols->server, symbols->origin,
	       symbols->origin_path);
	if (*symbols->made_from)
		printf("compiled by %s\n", symbols->made_from);
	for (unsigned int i = 0; i < symbols->events; i++)
		print_event(&symbols->event[i]);
}

static cJSON *json_path(const char *expression, const struct tp_path *path)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *offsets = cJSON_AddArrayToObject(json, "path");

	for (unsigned int i = 0; i < path->count; i++)
		cJSON_AddItemToArray(offsets, cJSON_CreateNumber(path->offset[i]));
	cJSON_AddStringToObject(json, "base", symbols_base_name(path->base));
	cJSON_AddStringToObject(json, "read", symbols_read_name(path->read));
	cJSON_AddStringToObject(json, "expression", expression);
	return json;
}

static void json_checks(cJSON *json, const char *key, const struct symbols_probe *probe,
			unsigned int first, unsigned int count)
{
	cJSON *checks = cJSON_AddArrayToObject(json, key), *check;
	char text[256];

	for (unsigned int i = first; i < first + count; i++) {
		check = json_path(probe->check_expression[i], &probe->plan.check[i].path);
		symbols_condition_text(&probe->plan.check[i], probe->other_expression[i], text,
				       sizeof(text));
		cJSON_AddStringToObject(check, "is", text);
		cJSON_AddItemToArray(checks, check);
	}
}

static cJSON *json_probe(const struct symbols_probe *probe)
{
	const struct tp_plan *plan = &probe->plan;
	cJSON *json = cJSON_CreateObject(), *fields;

	cJSON_AddStringToObject(json, "function", probe->function);
	cJSON_AddStringToObject(json, "at",
				probe->within			  ? "inlined"
				: plan->flags & TP_PLAN_AT_RETURN ? "return"
								  : "entry");
	if (probe->within)
		cJSON_AddStringToObject(json, "within", probe->within);
	cJSON_AddNumberToObject(json, "address", probe->address);
	cJSON_AddNumberToObject(json, "offset", probe->offset);
	fields = cJSON_AddObjectToObject(json, "fields");
	for (int i = 0; i < TP_FIELDS; i++)
		if (plan->field[i].read)
			cJSON_AddItemToObject(fields, symbols_field_name(i),
					      json_path(probe->expression[i], &plan->field[i]));
	json_checks(json, "checks", probe, 0, plan->checks);
	if (plan->walk.buckets) {
		cJSON_AddStringToObject(json, "walk", probe->walk_expression);
		json_checks(json, "each", probe, plan->checks, plan->each);
	}
	return json;
}

static cJSON *json_sources(const struct symbols_event *event)
{
	cJSON *sources = cJSON_CreateArray(), *source;

	for (unsigned int i = 0; i < event->sources; i++) {
		source = cJSON_CreateObject();
		cJSON_AddStringToObject(source, "source", event->source[i].name);
		cJSON_AddStringToObject(source, "state", source_state(event, i));
		cJSON_AddStringToObject(source, "why", event->source[i].why);
		cJSON_AddItemToArray(sources, source);
	}
	return sources;
}

static cJSON *json_event(const struct symbols_event *event)
{
	cJSON *json = cJSON_CreateObject(), *probes;

	cJSON_AddStringToObject(json, "event", symbols_event_name(event->kind));
	cJSON_AddStringToObject(json, "source", event->probes ? "uprobe" : "none");
	cJSON_AddBoolToObject(json, "required", event->required);
	cJSON_AddItemToObject(json, "sources", json_sources(event));
	probes = cJSON_AddArrayToObject(json, "probes");
	for (unsigned int i = 0; i < event->probes; i++)
		cJSON_AddItemToArray(probes, json_probe(&event->probe[i]));
	cJSON_AddStringToObject(json, "why", event->why);
	return json;
}

static void print_json(const struct target *target)
{
	const struct symbols *symbols = target->symbols;
	cJSON *json = cJSON_CreateObject(), *events;
	char *text;

	cJSON_AddStringToObject(json, "exe", image_path(target->image));
	cJSON_AddStringToObject(json, "build_id", symbols->build_id);
	cJSON_AddStringToObject(json, "server", symbols->server);
	cJSON_AddStringToObject(json, "symbols", symbols->origin);
	cJSON_AddStringToObject(json, "symbols_path", symbols->origin_path);
	cJSON_AddStringToObject(json, "made_from", symbols->made_from);
	events = cJSON_AddArrayToObject(json, "events");
	for (unsigned int i = 0; i < symbols->events; i++)
		cJSON_AddItemToArray(events, json_event(&symbols->event[i]));
	text = cJSON_Print(json);
	if (text)
		puts(text);
	free(text);
	cJSON_Delete(json);
}

static bool is_complete(const struct symbols *symbols)
{
	for (unsigned int i = 0; i < symbols->events; i++)
		if (symbols->event[i].required && !symbols->event[i].probes)
			return false;
	return true;
}

enum { OPTION_PID = 'p', OPTION_JSON = 'j', OPTION_SYMBOLS = 256, OPTION_PROFILES, OPTION_NO_MAP };

static const struct argp_option resolve_options[] = {
	{"pid", OPTION_PID, "N", 0, "the program of this process instead of BINARY", 0},
	{"json", OPTION_JSON, NULL, 0, "as JSON", 0},
	{"symbols", OPTION_SYMBOLS, "DIR", 0, "look for symbol maps here first", 0},
	{"profiles", OPTION_PROFILES, "DIR", 0, "take server profiles from here", 0},
	{"no-map", OPTION_NO_MAP, NULL, 0, "by debug information only", 0},
	{},
};

static error_t resolve_parse(int key, char *argument, struct argp_state *state)
{
	struct resolve *resolve = state->input;
	struct target *target = &resolve->target;

	switch (key) {
	case OPTION_PID:
		target->pid = options_number("--pid", argument, OPTIONS_PID_MAX);
		return target->pid ? 0 : OPTIONS_SAID;
	case OPTION_JSON:
		resolve->json = true;
		return 0;
	case OPTION_SYMBOLS:
		target->symbols_dir = argument;
		return options_directory("--symbols", argument);
	case OPTION_PROFILES:
		target->profiles_dir = argument;
		return options_directory("--profiles", argument);
	case OPTION_NO_MAP:
		target->no_map = true;
		return 0;
	case ARGP_KEY_ARG:
		if (target->path)
			return options_error("unexpected argument `%s`: one program at a time",
					     argument);
		target->path = argument;
		return 0;
	case ARGP_KEY_END:
		if (!target->path == !target->pid)
			return options_error(
				"which program? give its path, or --pid N, one of them");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int resolve_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = resolve_options,
		.parser = resolve_parse,
		.args_doc = "BINARY",
		.doc = "Shows, per event, the function, where it is, each field with its path and "
		       "offsets, and why a source could not be used. Attaches nothing. Exit status "
		       "1 if a required event has no source.",
	};
	struct resolve resolve = {};
	bool complete;
	int err;

	if (!options_parse(&argp, argc, argv, &resolve))
		return EXIT_USAGE;
	err = target_open(&resolve.target);
	if (!err && resolve.json)
		print_json(&resolve.target);
	else if (!err)
		print_text(&resolve.target);
	complete = !err && is_complete(resolve.target.symbols);
	target_close(&resolve.target);
	return complete ? EXIT_DONE : EXIT_FAILED;
}
