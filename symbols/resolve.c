// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/debuginfo.h"
#include "symbols/entry.h"
#include "symbols/image.h"
#include "symbols/names.h"
#include "symbols/opener.h"
#include "symbols/profile.h"
#include "symbols/resolve.h"
#include "symbols/symbols.h"

/* The executable's name, to find its profile by. */
static const char *name_of(const struct image *image)
{
	const char *path = image_real_path(image), *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The first profile in DIRECTORY, by name, for programs called NAME. -ENOENT: none. */
static int find_profile_in(const char *directory, const struct opener *opener, const char *name,
			   struct profile **ret, const struct why *why)
{
	char names[OPENER_LIST], path[PATH_MAX], *rest = names, *file;
	struct profile *profile;
	int err = opener->list(opener->context, directory, names, sizeof(names));

	if (err)
		return -ENOENT;
	err = -ENOENT;
	while (err == -ENOENT && (file = strsep(&rest, "\n")) && *file) {
		snprintf(path, sizeof(path), "%s/%s", directory, file);
		err = profile_load(path, opener, &profile, why);
		if (err)
			continue;
		if (strcmp(profile->binary, name)) {
			profile_free(profile);
			err = -ENOENT;
		} else {
			*ret = profile;
		}
	}
	return err;
}

int resolve_find_profile(const struct image *image, const struct symbols_options *options,
			 struct profile **ret, const struct why *why)
{
	const char *name = name_of(image);
	int err = -ENOENT;

	for (int i = 0; err == -ENOENT && i < SYMBOLS_DIRECTORIES; i++)
		if (options->profile_dir[i])
			err = find_profile_in(options->profile_dir[i], image_opener(image), name,
					      ret, why);
	if (err == -ENOENT)
		why_say(why, err, "`%.100s` is not a TURN server that turnpike has a profile for",
			name);
	return err;
}

/* How each field is read; what isn't named is a number. */
static const enum tp_read field_read[TP_FIELDS] = {
	[TP_FIELD_CLIENT] = TP_READ_SOCKADDR,	[TP_FIELD_SERVER] = TP_READ_SOCKADDR,
	[TP_FIELD_RELAY_V4] = TP_READ_SOCKADDR, [TP_FIELD_RELAY_V6] = TP_READ_SOCKADDR,
	[TP_FIELD_PEER] = TP_READ_SOCKADDR,	[TP_FIELD_LOCAL] = TP_READ_SOCKADDR,
	[TP_FIELD_REMOTE] = TP_READ_SOCKADDR,	[TP_FIELD_USER] = TP_READ_STRING,
	[TP_FIELD_REALM] = TP_READ_STRING,
};

/* One expression of a probe: its path, a copy of its text, and in WHY what is wrong with it. */
static int resolve_expression(struct debuginfo_function *function, const char *label,
			      const char *expression, enum tp_read read, struct tp_path *ret,
			      char **text, const struct why *why)
{
	char detail[SYMBOLS_WHY] = "";
	int err = debuginfo_expression(function, expression, read, ret, detail, sizeof(detail));

	if (err)
		return why_say(why, err, "%s `%.80s`: %s", label, expression, detail);
	*text = strdup(expression);
	return *text ? 0 : -ENOMEM;
}

static int resolve_check(struct debuginfo_function *function, const char *expression,
			 const char *is, int refusal, struct symbols_probe *probe,
			 const struct why *why)
{
	unsigned int index = probe->plan.checks + probe->plan.each;
	struct tp_check *check = &probe->plan.check[index];
	const char *other;
	int err;

	if (index == TP_PLAN_CHECKS)
		return why_say(why, -E2BIG, "more than %d checks", TP_PLAN_CHECKS);
	if (names_parse_condition(is, check, &other))
		return why_say(why, -EINVAL,
			       "`%.32s` is no condition; write `== 0`, `!= 0`, `< 9` "
			       "or `> 9`",
			       is);
	check->refusal = refusal;
	err = resolve_expression(function, "check", expression, TP_READ_NONE, &check->path,
				 &probe->check_expression[index], why);
	if (!err && other)
		err = resolve_expression(function, "check", other, TP_READ_NONE, &check->other,
					 &probe->other_expression[index], why);
	return err;
}

static int resolve_checks(struct debuginfo_function *function, const struct profile_probe *from,
			  struct symbols_probe *to, const struct why *why)
{
	int err = 0;

	if (from->when) {
		err = resolve_check(function, "return", from->when, TP_REFUSE_NONE, to, why);
		to->plan.checks += !err;
	}
	for (unsigned int i = 0; !err && i < from->checks_count; i++) {
		err = resolve_check(function, from->checks[i].expression, from->checks[i].is,
				    from->checks[i].otherwise, to, why);
		to->plan.checks += !err;
	}
	for (unsigned int i = 0; !err && i < from->each_count; i++) {
		err = resolve_check(function, from->each[i].expression, from->each[i].is,
				    from->each[i].otherwise, to, why);
		to->plan.each += !err;
	}
	return err;
}

static int resolve_walk(struct debuginfo_function *function, const struct profile_walk *from,
			struct symbols_probe *to, const struct why *why)
{
	const struct debuginfo_walk names = {from->table, from->slots, from->more,
					     from->more_count};
	char detail[SYMBOLS_WHY] = "";
	int err = debuginfo_walk(function, &names, &to->plan.walk, detail, sizeof(detail));

	if (err)
		return why_say(why, err, "walk `%.80s`: %s", from->table, detail);
	to->walk_expression = strdup(from->table);
	return to->walk_expression ? 0 : -ENOMEM;
}

static int resolve_paths(struct debuginfo_function *function, const struct profile_probe *from,
			 struct symbols_probe *to, const struct why *why)
{
	int err = from->walk ? resolve_walk(function, from->walk, to, why) : 0;

	for (int i = 0; !err && i < TP_FIELDS; i++)
		if (from->fields.expression[i])
			err = resolve_expression(function, symbols_field_name(i),
						 from->fields.expression[i], field_read[i],
						 &to->plan.field[i], &to->expression[i], why);
	return err ? err : resolve_checks(function, from, to, why);
}

/* "return" makes sense only where a function returns. */
static bool uses_return(const struct tp_plan *plan)
{
	for (int i = 0; i < TP_FIELDS; i++)
		if (plan->field[i].read && plan->field[i].base == TP_BASE_RETURN)
			return true;
	for (unsigned int i = 0; i < plan->checks; i++)
		if (plan->check[i].path.base == TP_BASE_RETURN)
			return true;
	return false;
}

static int resolve_site(struct image *image, struct debuginfo_function *site, int kind,
			const struct profile_probe *from, struct symbols_probe *to,
			const struct why *why)
{
	const char *within = debuginfo_function_within(site);
	int err;

	to->address = debuginfo_function_entry(site);
	if (!within)
		to->address = entry_stop(image, to->address);
	to->plan.kind = kind;
	to->plan.flags = from->at == NAMES_AT_RETURN ? TP_PLAN_AT_RETURN : 0;
	to->plan.every = from->every;
	to->plan.lasts = from->lasts;
	to->function = strdup(from->function);
	to->within = within ? strdup(within) : NULL;
	if (!to->function || (within && !to->within))
		return -ENOMEM;
	err = resolve_paths(site, from, to, why);
	if (err)
		return err;
	if (!(to->plan.flags & TP_PLAN_AT_RETURN) && uses_return(&to->plan))
		return why_say(why, -EINVAL,
			       "a return value is asked for at entry; say `at: return`");
	if (image_file_offset(image, to->address, &to->offset) ||
	    image_code(image, to->offset, to->code, sizeof(to->code)))
		return why_say(why, -ERANGE, "its address 0x%llx is not in the program's code",
			       (unsigned long long)to->address);
	return 0;
}

static enum debuginfo_wanted wanted(const struct profile_probe *probe)
{
	if (probe->at == NAMES_AT_RETURN)
		return DEBUGINFO_RETURNS;
	return probe->inlined == NAMES_INLINED_IGNORED ? DEBUGINFO_OUT_OF_LINE : DEBUGINFO_ENTRIES;
}

/* Appends the function's sites to TO's probes. */
static int resolve_probe(struct image *image, struct debuginfo *info,
			 const struct profile_probe *from, struct symbols_event *to,
			 const struct why *why)
{
	struct debuginfo_function *site[DEBUGINFO_SITES];
	struct symbols_probe *more;
	char detail[SYMBOLS_WHY] = "";
	const struct why inner = {detail, sizeof(detail)};
	unsigned int count = 0;
	int err = debuginfo_sites(info, from->function, wanted(from), site, &count, detail,
				  sizeof(detail));

	if (!err) {
		more = reallocarray(to->probe, to->probes + count, sizeof(*more));
		if (!more)
			return -ENOMEM;
		to->probe = more;
		memset(more + to->probes, 0, count * sizeof(*more));
	}
	for (unsigned int i = 0; !err && i < count; i++) {
		to->probes++;
		err = resolve_site(image, site[i], to->kind, from, &to->probe[to->probes - 1],
				   &inner);
	}
	return err ? why_say(why, err, "%.64s: %s", from->function, detail) : 0;
}

/* All probes of a source, or none. */
static int resolve_source(struct image *image, struct debuginfo *info,
			  const struct profile_source *from, struct symbols_event *to,
			  const struct why *why)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < from->probes_count; i++)
		err = resolve_probe(image, info, &from->probes[i], to, why);
	if (!err && to->probes > SYMBOLS_PROBES)
		err = why_say(why, -E2BIG, "at more than %d places together", SYMBOLS_PROBES);
	if (err)
		symbols_event_clear(to);
	return err;
}

static int add_line(char **text, const char *line)
{
	size_t old = strlen(*text), room = old + strlen(line) + 2;
	char *longer = realloc(*text, room);

	if (!longer)
		return -ENOMEM;
	snprintf(longer + old, room - old, "%s%s", old ? "\n" : "", line);
	*text = longer;
	return 0;
}

/* "update_channel_lifetime at return" */
static int name_source(const struct profile_source *from, struct symbols_source *ret)
{
	char text[2 * SYMBOLS_WHY] = "";
	size_t used = 0;

	for (unsigned int i = 0; i < from->probes_count && used < sizeof(text); i++)
		used += snprintf(text + used, sizeof(text) - used, "%s%.64s%s%s", i ? ", " : "",
				 from->probes[i].function,
				 from->probes[i].at == NAMES_AT_RETURN ? " at return" : "",
				 from->probes[i].walk ? " (walk)" : "");
	ret->name = strdup(text);
	ret->why = strdup("");
	return ret->name && ret->why ? 0 : -ENOMEM;
}

static int refuse_source(struct symbols_event *event, struct symbols_source *source,
			 const char *line)
{
	char *why = strdup(line);

	if (!why || add_line(&event->why, line)) {
		free(why);
		return -ENOMEM;
	}
	free(source->why);
	source->why = why;
	return 0;
}

/* The first source that resolves; the others are there to be told of. */
static int resolve_event(struct image *image, struct debuginfo *info,
			 const struct profile_event *from, struct symbols_event *to)
{
	char line[2 * SYMBOLS_WHY];
	const struct why why = {line, sizeof(line)};
	int err = 0;

	to->kind = from->event;
	to->required = from->required;
	to->why = strdup("");
	to->source = calloc(from->sources_count, sizeof(*to->source));
	if (!to->why || !to->source)
		return -ENOMEM;
	for (unsigned int i = 0; !err && i < from->sources_count; i++) {
		err = name_source(&from->sources[i], &to->source[i]);
		to->sources++;
		if (err || to->probes)
			continue;
		snprintf(line, sizeof(line), "out of memory");
		err = resolve_source(image, info, &from->sources[i], to, &why);
		if (err && err != -ENOMEM)
			err = refuse_source(to, &to->source[i], line);
	}
	return err;
}

static int resolve_events(struct image *image, struct debuginfo *info,
			  const struct profile *profile, struct symbols **ret)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));
	int err = -ENOMEM;

	if (!symbols)
		return -ENOMEM;
	symbols->origin = "dwarf";
	symbols->server = strdup(profile->server);
	symbols->build_id = strdup(image_build_id(image));
	symbols->origin_path = strdup(debuginfo_path(info));
	symbols->made_from = strdup(debuginfo_producer(info));
	symbols->event = calloc(profile->events_count, sizeof(*symbols->event));
	if (symbols->server && symbols->build_id && symbols->origin_path && symbols->made_from &&
	    symbols->event)
		err = 0;
	for (unsigned int i = 0; !err && i < profile->events_count; i++) {
		symbols->events++;
		err = resolve_event(image, info, &profile->events[i], &symbols->event[i]);
	}
	if (err)
		symbols_free(symbols);
	else
		*ret = symbols;
	return err;
}

/* Names alone aren't enough: which of those that are asked for are there, to tell a build from its
 * strip. */
static void say_without(const struct image *image, const struct profile *profile,
			const struct why *why)
{
	const char *example = NULL;
	unsigned int there = 0, all = 0;

	for (unsigned int e = 0; e < profile->events_count; e++) {
		const struct profile_probe *probe = profile->events[e].sources[0].probes;

		for (unsigned int i = 0; i < profile->events[e].sources[0].probes_count; i++) {
			bool found = image_has_symbol(image, probe[i].function);

			all++;
			there += found;
			if (found && !example)
				example = probe[i].function;
		}
	}
	if (!example)
		why_say(why, -ENODATA, "no symbol map for this build, and no debug information");
	else
		why_say(why, -ENODATA,
			"no symbol map for this build, and no debug information: its symbol table "
			"names "
			"%u of %u functions (%.40s), but not where their data is",
			there, all, example);
}

int resolve_profile(struct image *image, const struct symbols_options *options,
		    struct symbols **ret, const struct why *why)
{
	const struct debuginfo_files files = {options->root, options->debug_file};
	struct debuginfo *info = NULL;
	struct profile *profile;
	int err;

	err = resolve_find_profile(image, options, &profile, why);
	if (err)
		return err;
	err = debuginfo_open(image, &files, &info);
	if (err == -ENODATA)
		say_without(image, profile, why);
	else if (err)
		why_say(why, err, "the debug information can't be read: %s", strerror(-err));
	if (!err)
		err = resolve_events(image, info, profile, ret);
	debuginfo_close(info);
	profile_free(profile);
	return err;
}
