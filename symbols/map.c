// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/image.h"
#include "symbols/map.h"
#include "symbols/names.h"
#include "symbols/symbols.h"
#include "symbols/yaml.h"

#define TEXT 512 /* the longest expression */

struct map_field {
	char *expression;
	int base, read;
	uint8_t size;
	int32_t *path;
	uint8_t path_count;
};

struct map_check {
	struct map_field field;
	char *is;
	struct map_field *with; /* NULL: compared with a number */
	int *otherwise;		/* NULL: nothing is counted */
};

struct map_fields {
	struct map_field *field[TP_FIELDS];
};

struct map_walk {
	struct map_field field;
	uint32_t buckets, bucket_size, slots, slot_size, slot, more, more_count;
};

struct map_probe {
	char *function, *code, *within;
	int at;
	uint32_t every, lasts;
	uint64_t address, offset;
	struct map_walk *walk;
	struct map_fields fields;
	struct map_check *checks, *each;
	uint32_t checks_count, each_count;
};

struct map_event {
	int event;
	bool required;
	struct map_probe *probes;
	uint32_t probes_count;
};

struct map {
	char *server, *build_id, *made_from;
	struct map_event *events;
	uint32_t events_count;
};

static const cyaml_schema_value_t offset_value = {
	CYAML_VALUE_INT(CYAML_FLAG_DEFAULT, int32_t),
};

/* A field's keys; in a check it lies inside the check. */
#define MAP_FIELD_KEYS(type, member)                                                               \
	CYAML_FIELD_STRING_PTR("expression", CYAML_FLAG_POINTER, type, member expression, 1,       \
			       TEXT),                                                              \
		CYAML_FIELD_ENUM("base", CYAML_FLAG_STRICT, type, member base, names_base,         \
				 NAMES_BASES),                                                     \
		CYAML_FIELD_SEQUENCE("path", CYAML_FLAG_POINTER | CYAML_FLAG_FLOW, type,           \
				     member path, &offset_value, 0, TP_PATH_OFFSETS),              \
		CYAML_FIELD_ENUM("read", CYAML_FLAG_STRICT, type, member read, names_read,         \
				 NAMES_READS),                                                     \
		CYAML_FIELD_UINT("size", CYAML_FLAG_OPTIONAL, type, member size)

static const cyaml_schema_field_t field_schema[] = {
	MAP_FIELD_KEYS(struct map_field, ),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t check_schema[] = {
	MAP_FIELD_KEYS(struct map_check, field.),
	CYAML_FIELD_STRING_PTR("is", CYAML_FLAG_POINTER, struct map_check, is, 1, TEXT),
	CYAML_FIELD_MAPPING_PTR("with", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct map_check,
				with, field_schema),
	CYAML_FIELD_ENUM_PTR("else", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT,
			     struct map_check, otherwise, names_refusal, NAMES_REFUSALS),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t check_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct map_check, check_schema),
};

#define MAP_FIELD(name, which)                                                                     \
	CYAML_FIELD_MAPPING_PTR(name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct map_fields, \
				field[which], field_schema)

static const cyaml_schema_field_t fields_schema[] = {
	MAP_FIELD("session", TP_FIELD_SESSION),
	MAP_FIELD("channel", TP_FIELD_CHANNEL),
	MAP_FIELD("client", TP_FIELD_CLIENT),
	MAP_FIELD("server", TP_FIELD_SERVER),
	MAP_FIELD("relay_v4", TP_FIELD_RELAY_V4),
	MAP_FIELD("relay_v6", TP_FIELD_RELAY_V6),
	MAP_FIELD("peer", TP_FIELD_PEER),
	MAP_FIELD("expires", TP_FIELD_EXPIRES),
	MAP_FIELD("permission_expires", TP_FIELD_PERMISSION_EXPIRES),
	MAP_FIELD("now", TP_FIELD_NOW),
	MAP_FIELD("limit", TP_FIELD_LIMIT),
	MAP_FIELD("user", TP_FIELD_USER),
	MAP_FIELD("realm", TP_FIELD_REALM),
	MAP_FIELD("local", TP_FIELD_LOCAL),
	MAP_FIELD("remote", TP_FIELD_REMOTE),
	MAP_FIELD("lifetime", TP_FIELD_LIFETIME),
	CYAML_FIELD_END,
};
_Static_assert(sizeof(fields_schema) / sizeof(fields_schema[0]) == TP_FIELDS + 1,
	       "every field has a key");

#define MAP_WALK(name) CYAML_FIELD_UINT(#name, CYAML_FLAG_DEFAULT, struct map_walk, name)

static const cyaml_schema_field_t walk_schema[] = {
	MAP_FIELD_KEYS(struct map_walk, field.),
	MAP_WALK(buckets),
	MAP_WALK(bucket_size),
	MAP_WALK(slots),
	MAP_WALK(slot_size),
	MAP_WALK(slot),
	MAP_WALK(more),
	MAP_WALK(more_count),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t probe_schema[] = {
	CYAML_FIELD_STRING_PTR("function", CYAML_FLAG_POINTER, struct map_probe, function, 1, TEXT),
	CYAML_FIELD_STRING_PTR("within", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct map_probe,
			       within, 1, TEXT),
	CYAML_FIELD_UINT("every", CYAML_FLAG_OPTIONAL, struct map_probe, every),
	CYAML_FIELD_UINT("lasts", CYAML_FLAG_OPTIONAL, struct map_probe, lasts),
	CYAML_FIELD_MAPPING_PTR("walk", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct map_probe,
				walk, walk_schema),
	CYAML_FIELD_UINT("address", CYAML_FLAG_DEFAULT, struct map_probe, address),
	CYAML_FIELD_UINT("offset", CYAML_FLAG_DEFAULT, struct map_probe, offset),
	CYAML_FIELD_STRING_PTR("code", CYAML_FLAG_POINTER, struct map_probe, code, 2 * SYMBOLS_CODE,
			       2 * SYMBOLS_CODE),
	CYAML_FIELD_ENUM("at", CYAML_FLAG_STRICT, struct map_probe, at, names_at, NAMES_AT),
	CYAML_FIELD_MAPPING("fields", CYAML_FLAG_DEFAULT, struct map_probe, fields, fields_schema),
	CYAML_FIELD_SEQUENCE("checks", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct map_probe,
			     checks, &check_value, 0, TP_PLAN_CHECKS),
	CYAML_FIELD_SEQUENCE("each", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct map_probe,
			     each, &check_value, 0, TP_PLAN_CHECKS),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t probe_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct map_probe, probe_schema),
};

static const cyaml_schema_field_t event_schema[] = {
	CYAML_FIELD_ENUM("event", CYAML_FLAG_STRICT, struct map_event, event, names_event,
			 NAMES_EVENTS),
	CYAML_FIELD_BOOL("required", CYAML_FLAG_DEFAULT, struct map_event, required),
	CYAML_FIELD_SEQUENCE("probes", CYAML_FLAG_POINTER, struct map_event, probes, &probe_value,
			     0, SYMBOLS_PROBES),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t event_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct map_event, event_schema),
};

static const cyaml_schema_field_t map_fields[] = {
	CYAML_FIELD_STRING_PTR("server", CYAML_FLAG_POINTER, struct map, server, 1, 64),
	CYAML_FIELD_STRING_PTR("build_id", CYAML_FLAG_POINTER, struct map, build_id, 2, 128),
	CYAML_FIELD_STRING_PTR("made_from", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct map,
			       made_from, 0, 2 * TEXT),
	CYAML_FIELD_SEQUENCE("events", CYAML_FLAG_POINTER, struct map, events, &event_value, 1,
			     NAMES_EVENTS),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t map_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct map, map_fields),
};

static int map_code(const char *hex, uint8_t *ret)
{
	for (int i = 0; i < SYMBOLS_CODE; i++)
		if (sscanf(hex + 2 * (size_t)i, "%2hhx", &ret[i]) != 1)
			return -EINVAL;
	return 0;
}

static void map_to_path(const struct map_field *field, struct tp_path *ret)
{
	ret->base = field->base;
	ret->count = field->path_count;
	ret->read = field->read;
	ret->size = field->size;
	if (field->path_count)
		memcpy(ret->offset, field->path, field->path_count * sizeof(*field->path));
}

static int map_to_check(const struct map_check *from, unsigned int index, struct symbols_probe *to)
{
	struct tp_check *check = &to->plan.check[index];
	const char *other;

	map_to_path(&from->field, &check->path);
	if (names_parse_condition(from->is, check, &other) || !other != !from->with)
		return -EINVAL;
	check->refusal = from->otherwise ? *from->otherwise : TP_REFUSE_NONE;
	to->check_expression[index] = strdup(from->field.expression);
	if (from->with) {
		map_to_path(from->with, &check->other);
		to->other_expression[index] = strdup(from->with->expression);
	}
	return to->check_expression[index] && (!from->with || to->other_expression[index])
		       ? 0
		       : -ENOMEM;
}

static int map_to_checks(const struct map_probe *from, struct symbols_probe *to)
{
	int err = 0;

	if (from->checks_count + from->each_count > TP_PLAN_CHECKS)
		return -EINVAL;
	for (uint32_t i = 0; !err && i < from->checks_count; i++)
		err = map_to_check(&from->checks[i], i, to);
	for (uint32_t i = 0; !err && i < from->each_count; i++)
		err = map_to_check(&from->each[i], from->checks_count + i, to);
	to->plan.checks = from->checks_count;
	to->plan.each = from->each_count;
	return err;
}

static int map_to_walk(const struct map_walk *from, struct symbols_probe *to)
{
	struct tp_walk *walk = &to->plan.walk;

	map_to_path(&from->field, &walk->table);
	walk->buckets = from->buckets;
	walk->bucket_size = from->bucket_size;
	walk->slots = from->slots;
	walk->slot_size = from->slot_size;
	walk->slot = from->slot;
	walk->more = from->more;
	walk->more_count = from->more_count;
	to->walk_expression = strdup(from->field.expression);
	return to->walk_expression ? 0 : -ENOMEM;
}

static int map_to_probe(const struct map_event *event, const struct map_probe *from,
			struct symbols_probe *to)
{
	to->function = strdup(from->function);
	to->address = from->address;
	to->offset = from->offset;
	to->plan.kind = event->event;
	to->plan.flags = from->at == NAMES_AT_RETURN ? TP_PLAN_AT_RETURN : 0;
	to->plan.every = from->every;
	to->plan.lasts = from->lasts;
	to->within = from->within ? strdup(from->within) : NULL;
	if (!to->function || map_code(from->code, to->code))
		return -EINVAL;
	if (from->walk && map_to_walk(from->walk, to))
		return -ENOMEM;
	for (int i = 0; i < TP_FIELDS; i++) {
		if (!from->fields.field[i])
			continue;
		map_to_path(from->fields.field[i], &to->plan.field[i]);
		to->expression[i] = strdup(from->fields.field[i]->expression);
		if (!to->expression[i])
			return -ENOMEM;
	}
	return map_to_checks(from, to);
}

static int map_to_event(const struct map_event *from, struct symbols_event *to)
{
	int err = 0;

	to->kind = from->event;
	to->required = from->required;
	to->why = strdup("");
	to->probe = calloc(from->probes_count + 1, sizeof(*to->probe));
	if (!to->probe || !to->why)
		return -ENOMEM;
	for (uint32_t i = 0; !err && i < from->probes_count; i++) {
		to->probes++;
		err = map_to_probe(from, &from->probes[i], &to->probe[i]);
	}
	return err;
}

static int map_to_symbols(const struct map *map, const char *path, struct symbols **ret)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));
	int err = 0;

	if (!symbols)
		return -ENOMEM;
	symbols->server = strdup(map->server);
	symbols->build_id = strdup(map->build_id);
	symbols->origin = "map";
	symbols->made_from = strdup(map->made_from ? map->made_from : "");
	symbols->origin_path = strdup(path);
	symbols->event = calloc(map->events_count, sizeof(*symbols->event));
	if (!symbols->server || !symbols->build_id || !symbols->made_from ||
	    !symbols->origin_path || !symbols->event)
		err = -ENOMEM;
	for (uint32_t i = 0; !err && i < map->events_count; i++) {
		symbols->events++;
		err = map_to_event(&map->events[i], &symbols->event[i]);
	}
	if (err)
		symbols_free(symbols);
	else
		*ret = symbols;
	return err;
}

/* The code at every probed place is what it was when the map was made. */
static int map_verify(const struct symbols *symbols, const struct image *image,
		      const struct why *why)
{
	uint8_t code[SYMBOLS_CODE];

	if (strcmp(symbols->build_id, image_build_id(image)))
		return why_say(why, -ESTALE, "%s is for build-id %s, this program is %s; remove it",
			       symbols->origin_path, symbols->build_id, image_build_id(image));
	for (unsigned int e = 0; e < symbols->events; e++) {
		for (unsigned int p = 0; p < symbols->event[e].probes; p++) {
			const struct symbols_probe *probe = &symbols->event[e].probe[p];

			if (!image_code(image, probe->offset, code, sizeof(code)) &&
			    !memcmp(code, probe->code, sizeof(code)))
				continue;
			return why_say(why, -ESTALE,
				       "%s: the code of %s at 0x%llx is not what the "
				       "map was made from; remove it",
				       symbols->origin_path, probe->function,
				       (unsigned long long)probe->offset);
		}
	}
	return 0;
}

int map_read(const char *path, const struct image *image, struct symbols **ret,
	     const struct why *why)
{
	struct symbols *symbols = NULL;
	struct map *map;
	int err;

	err = yamlfile_load(path, image_opener(image), &map_schema, (void **)&map, why);
	if (err)
		return err;
	err = map_to_symbols(map, path, &symbols);
	yamlfile_free(&map_schema, map);
	if (err)
		return why_say(why, err, "%s: a condition or code bytes make no sense", path);
	err = map_verify(symbols, image, why);
	if (err)
		symbols_free(symbols);
	else
		*ret = symbols;
	return err;
}
