// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/result.h"

#define RESULT_MAGIC	0x74706b31u
#define RESULT_NONE	UINT32_MAX /* length of a text that isn't there */
#define RESULT_TEXT	65536
#define RESULT_EVENTS	16
#define RESULT_SOURCES	16
#define RESULT_WALK	(1 << 20) /* bytes of a bucket */
#define RESULT_BUCKETS	64
#define RESULT_OFFSET	(1 << 30)
#define RESULT_CLEARING '?' /* instead of control characters */

static void put(FILE *out, const void *data, size_t size)
{
	fwrite(data, 1, size, out);
}

static void put_number(FILE *out, uint64_t number)
{
	put(out, &number, sizeof(number));
}

static void put_text(FILE *out, const char *text)
{
	uint32_t length = text ? (uint32_t)strlen(text) : RESULT_NONE;

	put(out, &length, sizeof(length));
	if (text)
		put(out, text, length);
}

static void put_probe(FILE *out, const struct symbols_probe *probe)
{
	put_text(out, probe->function);
	put_text(out, probe->within);
	put_text(out, probe->walk_expression);
	put_number(out, probe->address);
	put_number(out, probe->offset);
	put(out, probe->code, sizeof(probe->code));
	put(out, &probe->plan, sizeof(probe->plan));
	for (int i = 0; i < TP_FIELDS; i++)
		put_text(out, probe->expression[i]);
	for (int i = 0; i < TP_PLAN_CHECKS; i++) {
		put_text(out, probe->check_expression[i]);
		put_text(out, probe->other_expression[i]);
	}
}

static void put_event(FILE *out, const struct symbols_event *event)
{
	put_number(out, event->kind);
	put_number(out, event->required);
	put_text(out, event->why);
	put_number(out, event->sources);
	for (unsigned int i = 0; i < event->sources; i++) {
		put_text(out, event->source[i].name);
		put_text(out, event->source[i].why);
	}
	put_number(out, event->probes);
	for (unsigned int i = 0; i < event->probes; i++)
		put_probe(out, &event->probe[i]);
}

int result_write(const struct result *result, FILE *out)
{
	const struct symbols *symbols = result->symbols;

	put_number(out, RESULT_MAGIC);
	put_number(out, (uint64_t)-result->err);
	put_text(out, result->why);
	put_text(out, result->build_id);
	if (symbols) {
		put_text(out, symbols->server);
		put_text(out, symbols->build_id);
		put_text(out, symbols->origin);
		put_text(out, symbols->made_from);
		put_text(out, symbols->origin_path);
		put_number(out, symbols->events);
		for (unsigned int i = 0; i < symbols->events; i++)
			put_event(out, &symbols->event[i]);
	}
	return ferror(out) || fflush(out) ? -EIO : 0;
}

/* Reading: the first thing that is wrong sets `err`, and all that follows is empty. */
struct reader {
	FILE *in;
	int err;
};

static void take(struct reader *reader, void *data, size_t size)
{
	if (!reader->err && fread(data, 1, size, reader->in) != size)
		reader->err = -EBADMSG;
	if (reader->err)
		memset(data, 0, size);
}

/* At most LARGEST. */
static uint64_t take_number(struct reader *reader, uint64_t largest)
{
	uint64_t number;

	take(reader, &number, sizeof(number));
	if (number <= largest)
		return number;
	reader->err = -EBADMSG;
	return 0;
}

/* NULL if it wasn't there, which only OPTIONAL ones may. */
static char *take_text(struct reader *reader, bool optional)
{
	uint32_t length;
	char *text;

	take(reader, &length, sizeof(length));
	if (!reader->err && length == RESULT_NONE && optional)
		return NULL;
	if (length > RESULT_TEXT)
		reader->err = -EBADMSG;
	text = reader->err ? NULL : calloc(1, length + 1);
	if (!text) {
		reader->err = reader->err ? reader->err : -ENOMEM;
		return NULL;
	}
	take(reader, text, length);
	for (uint32_t i = 0; i < length; i++)
		if (((unsigned char)text[i] < ' ' && text[i] != '\n') || text[i] == 0x7f)
			text[i] = RESULT_CLEARING;
	return text;
}

static bool path_is_sane(const struct tp_path *path)
{
	for (unsigned int i = 0; i < path->count && i < TP_PATH_OFFSETS; i++)
		if (path->offset[i] > RESULT_OFFSET || path->offset[i] < -RESULT_OFFSET)
			return false;
	return path->base < TP_BASES && *symbols_base_name(path->base) &&
	       path->count <= TP_PATH_OFFSETS && path->read <= TP_READ_STRING;
}

static bool walk_is_sane(const struct tp_walk *walk)
{
	return path_is_sane(&walk->table) && walk->buckets <= RESULT_BUCKETS &&
	       walk->bucket_size <= RESULT_WALK && walk->slots <= TP_WALK_ROWS &&
	       walk->slot_size <= RESULT_WALK && walk->slot <= RESULT_WALK &&
	       walk->more <= RESULT_WALK && walk->more_count <= RESULT_WALK;
}

/* A plan does what its event is for and reads where its own paths lead: nothing can be added to it.
 */
static bool plan_is_sane(const struct symbols_probe *probe, enum tp_event_kind kind)
{
	const struct tp_plan *plan = &probe->plan;

	if (plan->kind != kind || plan->flags & ~(__u32)TP_PLAN_AT_RETURN || plan->server ||
	    plan->tgid || plan->checks > TP_PLAN_CHECKS ||
	    plan->each > TP_PLAN_CHECKS - plan->checks || !walk_is_sane(&plan->walk) ||
	    !plan->walk.buckets != !probe->walk_expression)
		return false;
	for (int i = 0; i < TP_FIELDS; i++)
		if (!path_is_sane(&plan->field[i]) || !plan->field[i].read != !probe->expression[i])
			return false;
	for (unsigned int i = 0; i < plan->checks + plan->each; i++) {
		const struct tp_check *check = &plan->check[i];

		if (!path_is_sane(&check->path) || !path_is_sane(&check->other) ||
		    check->compare > TP_GT || check->refusal >= TP_REFUSALS ||
		    !probe->check_expression[i] ||
		    !check->other.read != !probe->other_expression[i])
			return false;
	}
	return true;
}

static void take_probe(struct reader *reader, enum tp_event_kind kind, struct symbols_probe *ret)
{
	ret->function = take_text(reader, false);
	ret->within = take_text(reader, true);
	ret->walk_expression = take_text(reader, true);
	ret->address = take_number(reader, UINT64_MAX);
	ret->offset = take_number(reader, INT64_MAX);
	take(reader, ret->code, sizeof(ret->code));
	take(reader, &ret->plan, sizeof(ret->plan));
	for (int i = 0; i < TP_FIELDS; i++)
		ret->expression[i] = take_text(reader, true);
	for (int i = 0; i < TP_PLAN_CHECKS; i++) {
		ret->check_expression[i] = take_text(reader, true);
		ret->other_expression[i] = take_text(reader, true);
	}
	if (!reader->err && !plan_is_sane(ret, kind))
		reader->err = -EBADMSG;
}

/* COUNT zeroed elements of SIZE; NULL on errors, and for none. */
static void *room(struct reader *reader, size_t count, size_t size)
{
	void *memory = reader->err || !count ? NULL : calloc(count, size);

	if (count && !memory && !reader->err)
		reader->err = -ENOMEM;
	return memory;
}

static void take_event(struct reader *reader, struct symbols_event *ret)
{
	unsigned int count;

	ret->kind = take_number(reader, TP_EVENT_KINDS - 1);
	if (!*symbols_event_name(ret->kind))
		reader->err = -EBADMSG;
	ret->required = take_number(reader, 1);
	ret->why = take_text(reader, false);
	count = (unsigned int)take_number(reader, RESULT_SOURCES);
	ret->source = room(reader, count, sizeof(*ret->source));
	for (unsigned int i = 0; !reader->err && i < count; i++) {
		ret->source[i].name = take_text(reader, false);
		ret->source[i].why = take_text(reader, false);
		ret->sources++;
	}
	count = (unsigned int)take_number(reader, SYMBOLS_PROBES);
	ret->probe = room(reader, count, sizeof(*ret->probe));
	for (unsigned int i = 0; !reader->err && i < count; i++) {
		ret->probes++;
		take_probe(reader, ret->kind, &ret->probe[i]);
	}
}

static struct symbols *take_symbols(struct reader *reader)
{
	struct symbols *symbols = room(reader, 1, sizeof(*symbols));
	unsigned int count;
	char *origin;

	if (!symbols)
		return NULL;
	symbols->server = take_text(reader, false);
	symbols->build_id = take_text(reader, false);
	origin = take_text(reader, false);
	symbols->origin = origin && !strcmp(origin, "map") ? "map" : "dwarf";
	free(origin);
	symbols->made_from = take_text(reader, false);
	symbols->origin_path = take_text(reader, false);
	count = (unsigned int)take_number(reader, RESULT_EVENTS);
	symbols->event = room(reader, count, sizeof(*symbols->event));
	for (unsigned int i = 0; !reader->err && i < count; i++) {
		symbols->events++;
		take_event(reader, &symbols->event[i]);
	}
	if (!reader->err)
		return symbols;
	symbols_free(symbols);
	return NULL;
}

int result_read(FILE *in, struct result *ret)
{
	struct reader reader = {.in = in};
	char *text;

	memset(ret, 0, sizeof(*ret));
	if (take_number(&reader, RESULT_MAGIC) != RESULT_MAGIC)
		reader.err = -EBADMSG;
	ret->err = -(int)take_number(&reader, 4095);
	text = take_text(&reader, false);
	snprintf(ret->why, sizeof(ret->why), "%s", text ? text : "");
	free(text);
	text = take_text(&reader, false);
	snprintf(ret->build_id, sizeof(ret->build_id), "%s", text ? text : "");
	free(text);
	if (!ret->err)
		ret->symbols = take_symbols(&reader);
	return reader.err;
}
