// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "symbols/debuginfo.h"
#include "symbols/image.h"
#include "symbols/names.h"
#include "symbols/profile.h"
#include "symbols/resolve.h"
#include "symbols/symbols.h"

#define RESOLVE_DELETED " (deleted)" /* what /proc/PID/exe adds when the file is replaced */

/* The executable's name, to find its profile by. */
static void name_of(const struct image *image, char *ret, size_t size)
{
	char link[PATH_MAX];
	ssize_t length = readlink(image_path(image), link, sizeof(link) - 1);
	const char *path = image_path(image), *slash;
	char *deleted;

	if (length > 0) {
		link[length] = '\0';
		path = link;
	}
	slash = strrchr(path, '/');
	snprintf(ret, size, "%.*s", (int)size - 1, slash ? slash + 1 : path);
	deleted = strstr(ret, RESOLVE_DELETED);
	if (deleted && deleted[strlen(RESOLVE_DELETED)] == '\0')
		*deleted = '\0';
}

static int is_yaml(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && !strcmp(dot, ".yaml");
}

/* The first profile in DIRECTORY, by name, for programs called NAME. -ENOENT: none. */
static int find_profile_in(const char *directory, const char *name, struct profile **ret,
			   const struct why *why)
{
	struct dirent **entry = NULL;
	int count = scandir(directory, &entry, is_yaml, alphasort);
	struct profile *profile;
	char path[PATH_MAX];
	int err = -ENOENT;

	for (int i = 0; err == -ENOENT && i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, entry[i]->d_name);
		err = profile_load(path, &profile, why);
		if (err)
			continue;
		if (strcmp(profile->binary, name)) {
			profile_free(profile);
			err = -ENOENT;
		} else {
			*ret = profile;
		}
	}
	for (int i = 0; i < count; i++)
		free(entry[i]);
	free(entry);
	return err;
}

int resolve_find_profile(const struct image *image, const struct symbols_options *options,
			struct profile **ret, const struct why *why)
{
	char name[NAME_MAX + 1];
	int err = -ENOENT;

	name_of(image, name, sizeof(name));
	for (int i = 0; err == -ENOENT && i < SYMBOLS_DIRECTORIES; i++)
		if (options->profile_dir[i])
			err = find_profile_in(options->profile_dir[i], name, ret, why);
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
	unsigned int index = probe->plan.checks;
	struct tp_check *check = &probe->plan.check[index];
	int err;

	if (names_parse_condition(is, check))
		return why_say(why, -EINVAL,
			       "`%.32s` is no condition; write `== 0`, `!= 0`, `< 9` "
			       "or `> 9`",
			       is);
	check->refusal = refusal;
	err = resolve_expression(function, "check", expression, TP_READ_NONE, &check->path,
				 &probe->check_expression[index], why);
	probe->plan.checks += !err;
	return err;
}

static int resolve_paths(struct debuginfo_function *function, const struct profile_probe *from,
			 struct symbols_probe *to, const struct why *why)
{
	int err = 0;

	for (int i = 0; !err && i < TP_FIELDS; i++)
		if (from->fields.expression[i])
			err = resolve_expression(function, symbols_field_name(i),
						 from->fields.expression[i], field_read[i],
						 &to->plan.field[i], &to->expression[i], why);
	if (!err && from->when)
		err = resolve_check(function, "return", from->when, TP_REFUSE_NONE, to, why);
	for (unsigned int i = 0; !err && i < from->checks_count; i++)
		err = resolve_check(function, from->checks[i].expression, from->checks[i].is,
				    from->checks[i].otherwise, to, why);
	return err;
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

static int resolve_probe(struct image *image, struct debuginfo *info, int kind,
			 const struct profile_probe *from, struct symbols_probe *to,
			 const struct why *why)
{
	struct debuginfo_function *function;
	char detail[SYMBOLS_WHY] = "";
	int err = debuginfo_function(info, from->function, &function, detail, sizeof(detail));

	if (!err) {
		const struct why inner = {detail, sizeof(detail)};

		to->address = debuginfo_function_entry(function);
		to->plan.kind = kind;
		to->plan.flags = from->at == NAMES_AT_RETURN ? TP_PLAN_AT_RETURN : 0;
		err = resolve_paths(function, from, to, &inner);
	}
	if (!err && !(to->plan.flags & TP_PLAN_AT_RETURN) && uses_return(&to->plan))
		err = why_say(&(struct why){detail, sizeof(detail)}, -EINVAL,
			      "a return value is asked for at entry; say `at: return`");
	if (!err && (image_file_offset(image, to->address, &to->offset) ||
		     image_code(image, to->offset, to->code, sizeof(to->code))))
		err = why_say(&(struct why){detail, sizeof(detail)}, -ERANGE,
			      "its address 0x%llx is not in the program's code",
			      (unsigned long long)to->address);
	if (err)
		return why_say(why, err, "%.64s: %s", from->function, detail);
	to->function = strdup(from->function);
	return to->function ? 0 : -ENOMEM;
}

/* All probes of a source, or none. */
static int resolve_source(struct image *image, struct debuginfo *info,
			  const struct profile_source *from, struct symbols_event *to,
			  const struct why *why)
{
	int err = 0;

	to->probe = calloc(from->probes_count, sizeof(*to->probe));
	if (!to->probe)
		return -ENOMEM;
	for (unsigned int i = 0; !err && i < from->probes_count; i++) {
		to->probes++;
		err = resolve_probe(image, info, to->kind, &from->probes[i], &to->probe[i], why);
	}
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

static int resolve_event(struct image *image, struct debuginfo *info,
			 const struct profile_event *from, struct symbols_event *to)
{
	char line[2 * SYMBOLS_WHY];
	int err;

	to->kind = from->event;
	to->required = from->required;
	to->why = strdup("");
	if (!to->why)
		return -ENOMEM;
	for (unsigned int i = 0; i < from->sources_count; i++) {
		const struct why why = {line, sizeof(line)};

		snprintf(line, sizeof(line), "out of memory");
		err = resolve_source(image, info, &from->sources[i], to, &why);
		if (!err)
			return 0;
		if (err == -ENOMEM || add_line(&to->why, line))
			return -ENOMEM;
	}
	return 0;
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

int resolve_profile(struct image *image, const struct symbols_options *options,
		    struct symbols **ret, const struct why *why)
{
	struct debuginfo *info = NULL;
	struct profile *profile;
	int err;

	err = resolve_find_profile(image, options, &profile, why);
	if (err)
		return err;
	err = debuginfo_open(image, &info);
	if (err == -ENODATA)
		why_say(why, err, "no symbol map for this build, and no debug information");
	else if (err)
		why_say(why, err, "the debug information can't be read: %s", strerror(-err));
	if (!err)
		err = resolve_events(image, info, profile, ret);
	debuginfo_close(info);
	profile_free(profile);
	return err;
}
