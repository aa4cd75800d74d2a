// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include "symbols/names.h"
#include "symbols/profile.h"
#include "symbols/yaml.h"

#define TEXT 512 /* the longest expression */

#define PROFILE_FIELD(name, field)                                                                 \
	CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,                     \
			       struct profile_fields, expression[field], 1, TEXT)

static const cyaml_schema_field_t fields_schema[] = {
	PROFILE_FIELD("session", TP_FIELD_SESSION),
	PROFILE_FIELD("channel", TP_FIELD_CHANNEL),
	PROFILE_FIELD("client", TP_FIELD_CLIENT),
	PROFILE_FIELD("server", TP_FIELD_SERVER),
	PROFILE_FIELD("relay_v4", TP_FIELD_RELAY_V4),
	PROFILE_FIELD("relay_v6", TP_FIELD_RELAY_V6),
	PROFILE_FIELD("peer", TP_FIELD_PEER),
	PROFILE_FIELD("expires", TP_FIELD_EXPIRES),
	PROFILE_FIELD("permission_expires", TP_FIELD_PERMISSION_EXPIRES),
	PROFILE_FIELD("now", TP_FIELD_NOW),
	PROFILE_FIELD("limit", TP_FIELD_LIMIT),
	PROFILE_FIELD("user", TP_FIELD_USER),
	PROFILE_FIELD("realm", TP_FIELD_REALM),
	PROFILE_FIELD("local", TP_FIELD_LOCAL),
	PROFILE_FIELD("remote", TP_FIELD_REMOTE),
	PROFILE_FIELD("lifetime", TP_FIELD_LIFETIME),
	CYAML_FIELD_END,
};
_Static_assert(sizeof(fields_schema) / sizeof(fields_schema[0]) == TP_FIELDS + 1,
	       "every field has a key");

static const cyaml_schema_field_t check_schema[] = {
	CYAML_FIELD_STRING_PTR("expression", CYAML_FLAG_POINTER, struct profile_check, expression,
			       1, TEXT),
	CYAML_FIELD_STRING_PTR("is", CYAML_FLAG_POINTER, struct profile_check, is, 1, TEXT),
	CYAML_FIELD_ENUM("else", CYAML_FLAG_STRICT, struct profile_check, otherwise, names_refusal,
			 NAMES_REFUSALS),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t check_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct profile_check, check_schema),
};

#define PROFILE_WALK(name)                                                                         \
	CYAML_FIELD_STRING_PTR(#name, CYAML_FLAG_POINTER, struct profile_walk, name, 1, TEXT)

static const cyaml_schema_field_t walk_schema[] = {
	PROFILE_WALK(table),	  PROFILE_WALK(slots), PROFILE_WALK(more),
	PROFILE_WALK(more_count), CYAML_FIELD_END,
};

static const cyaml_schema_field_t probe_schema[] = {
	CYAML_FIELD_STRING_PTR("function", CYAML_FLAG_POINTER, struct profile_probe, function, 1,
			       TEXT),
	CYAML_FIELD_ENUM("at", CYAML_FLAG_STRICT, struct profile_probe, at, names_at,
			 NAMES_AT_INLINED),
	CYAML_FIELD_ENUM("inlined", CYAML_FLAG_STRICT | CYAML_FLAG_OPTIONAL, struct profile_probe,
			 inlined, names_inlined, NAMES_INLINED),
	CYAML_FIELD_MAPPING_PTR("walk", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				struct profile_probe, walk, walk_schema),
	CYAML_FIELD_UINT("every", CYAML_FLAG_OPTIONAL, struct profile_probe, every),
	CYAML_FIELD_UINT("lasts", CYAML_FLAG_OPTIONAL, struct profile_probe, lasts),
	CYAML_FIELD_STRING_PTR("when", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			       struct profile_probe, when, 1, 32),
	CYAML_FIELD_MAPPING("fields", CYAML_FLAG_DEFAULT, struct profile_probe, fields,
			    fields_schema),
	CYAML_FIELD_SEQUENCE("checks", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct profile_probe, checks, &check_value, 0, TP_PLAN_CHECKS),
	CYAML_FIELD_SEQUENCE("each", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct profile_probe,
			     each, &check_value, 0, TP_PLAN_CHECKS),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t probe_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct profile_probe, probe_schema),
};

static const cyaml_schema_field_t source_schema[] = {
	CYAML_FIELD_SEQUENCE("probes", CYAML_FLAG_POINTER, struct profile_source, probes,
			     &probe_value, 1, 8),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t source_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct profile_source, source_schema),
};

static const cyaml_schema_field_t event_schema[] = {
	CYAML_FIELD_ENUM("event", CYAML_FLAG_STRICT, struct profile_event, event, names_event,
			 NAMES_EVENTS),
	CYAML_FIELD_BOOL("required", CYAML_FLAG_OPTIONAL, struct profile_event, required),
	CYAML_FIELD_SEQUENCE("sources", CYAML_FLAG_POINTER, struct profile_event, sources,
			     &source_value, 1, 8),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t event_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct profile_event, event_schema),
};

#define PROFILE_WIRE(name)                                                                         \
	CYAML_FIELD_STRING_PTR(#name, CYAML_FLAG_POINTER, struct profile_wire, name, 1, 64)

static const cyaml_schema_value_t file_value = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, TEXT),
};

static const cyaml_schema_field_t wire_schema[] = {
	CYAML_FIELD_UINT("channel_lifetime", CYAML_FLAG_DEFAULT, struct profile_wire,
			 channel_lifetime),
	CYAML_FIELD_UINT("permission_lifetime", CYAML_FLAG_DEFAULT, struct profile_wire,
			 permission_lifetime),
	CYAML_FIELD_BOOL("bind_lifts_permission", CYAML_FLAG_DEFAULT, struct profile_wire,
			 bind_lifts_permission),
	CYAML_FIELD_UINT("low_port", CYAML_FLAG_DEFAULT, struct profile_wire, low_port),
	CYAML_FIELD_UINT("high_port", CYAML_FLAG_DEFAULT, struct profile_wire, high_port),
	PROFILE_WIRE(channel_option),
	PROFILE_WIRE(permission_option),
	PROFILE_WIRE(limit_option),
	PROFILE_WIRE(low_port_option),
	PROFILE_WIRE(high_port_option),
	PROFILE_WIRE(settings_option),
	PROFILE_WIRE(no_settings_option),
	CYAML_FIELD_SEQUENCE("settings_files", CYAML_FLAG_POINTER, struct profile_wire,
			     settings_files, &file_value, 0, 16),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t profile_fields[] = {
	CYAML_FIELD_STRING_PTR("server", CYAML_FLAG_POINTER, struct profile, server, 1, 64),
	CYAML_FIELD_STRING_PTR("binary", CYAML_FLAG_POINTER, struct profile, binary, 1, 64),
	CYAML_FIELD_MAPPING_PTR("wire", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct profile,
				wire, wire_schema),
	CYAML_FIELD_SEQUENCE("events", CYAML_FLAG_POINTER, struct profile, events, &event_value, 1,
			     NAMES_EVENTS),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t profile_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct profile, profile_fields),
};

int profile_load(const char *path, const struct opener *opener, struct profile **ret,
		 const struct why *why)
{
	return yamlfile_load(path, opener, &profile_schema, (void **)ret, why);
}

void profile_free(struct profile *profile)
{
	yamlfile_free(&profile_schema, profile);
}
