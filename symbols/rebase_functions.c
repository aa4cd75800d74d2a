// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where a rebuild is not the package's code as a whole (its compiler is a later one of the same
 * series), function by function it mostly is. Members of structs lie where they do for all
 * functions that use them: if nearly all are the same but for where calls and data are, so are the
 * structs. Functions that are probed must be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/functions.h"
#include "symbols/image.h"
#include "symbols/rebase.h"

#define REBASE_EQUAL   95 /* percent of functions, at least */
#define REBASE_LONGEST (1 << 20)

#define REBASE_SKIP    4 /* functions that one program may have and the other not, in a row */

struct program {
	const struct image *image;
	struct function_range *function;
	size_t count;
};

/* CALL and JMP rel32, and what rebase.c knows. */
static bool leads_elsewhere(uint8_t byte)
{
	return byte == 0xe8 || byte == 0xe9 || rebase_is_relative(byte);
}

/* Jcc rel32: 0f 80 to 0f 8f */
static bool is_conditional(const uint8_t *code, size_t first, size_t last)
{
	for (size_t back = 1; back <= 4 && back + 1 <= first; back++)
		if (last <= first - back + 4 && (code[first - back] & 0xf0) == 0x80 &&
		    code[first - back - 1] == 0x0f)
			return true;
	return false;
}

static bool same_code(const uint8_t *one, const uint8_t *other, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		size_t first = i;

		while (i < size && one[i] != other[i])
			i++;
		if (i > first && !rebase_follows(one, first, i - 1, leads_elsewhere) &&
		    !is_conditional(one, first, i - 1))
			return false;
	}
	return true;
}

static bool same_function(const struct program *from, const struct program *to, size_t i, size_t j)
{
	const struct function_range *a = &from->function[i], *b = &to->function[j];
	uint8_t *code =
		a->size == b->size && a->size < REBASE_LONGEST ? malloc(2 * a->size + 1) : NULL;
	uint64_t one, other;
	bool same;

	if (!code)
		return false;
	same = !image_file_offset(from->image, a->address, &one) &&
	       !image_file_offset(to->image, b->address, &other) &&
	       !image_code(from->image, one, code, a->size) &&
	       !image_code(to->image, other, code + a->size, b->size) &&
	       same_code(code, code + a->size, a->size);
	free(code);
	return same;
}

/*
 * PAIR[i]: which of TO's functions is FROM's i-th, + 1; 0: none. Both are in the same order.
 * Returns how many pairs there are.
 */
static size_t pair_functions(const struct program *from, const struct program *to, size_t *pair)
{
	size_t next = 0, missed = 0, pairs = 0;

	for (size_t i = 0; i < from->count; i++) {
		for (size_t j = next; j < to->count && j <= next + missed + REBASE_SKIP; j++) {
			if (!same_function(from, to, i, j))
				continue;
			pair[i] = j + 1;
			break;
		}
		missed = pair[i] ? 0 : missed + 1;
		next = pair[i] ? pair[i] : next;
		pairs += pair[i] > 0;
	}
	return pairs;
}

/* The function that a probe is in must be the same, and the probe moves with it. */
static int move(const struct program *from, const struct program *to, const size_t *pair,
		struct symbols_probe *probe, const struct why *why)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct function_range *range = &from->function[i];

		if (probe->address < range->address ||
		    probe->address - range->address >= range->size)
			continue;
		if (!pair[i])
			return why_say(why, -EINVAL, "the code of %.64s is other code",
				       probe->function);
		probe->address += to->function[pair[i] - 1].address - range->address;
		return image_file_offset(to->image, probe->address, &probe->offset);
	}
	return why_say(why, -EINVAL, "%.64s is in no function", probe->function);
}

static int move_all(struct symbols *symbols, const struct program *from, const struct program *to,
		    const size_t *pair, const struct why *why)
{
	int err = 0;

	for (unsigned int e = 0; !err && e < symbols->events; e++)
		for (unsigned int p = 0; !err && p < symbols->event[e].probes; p++)
			err = move(from, to, pair, &symbols->event[e].probe[p], why);
	return err;
}

/* Says it in the map as well. */
static int say(struct symbols *symbols, size_t same, size_t count)
{
	size_t room = strlen(symbols->made_from) + 64;
	char *text = malloc(room);

	if (!text)
		return -ENOMEM;
	snprintf(text, room, "%s; %zu of %zu functions equal", symbols->made_from, same, count);
	free(symbols->made_from);
	symbols->made_from = text;
	return 0;
}

static int compare(struct symbols *symbols, const struct program *from, const struct program *to,
		   const struct why *why)
{
	size_t *pair = calloc(from->count + 1, sizeof(*pair));
	size_t same = pair ? pair_functions(from, to, pair) : 0;
	int err = pair ? 0 : -ENOMEM;

	if (!err && same * 100 < from->count * REBASE_EQUAL)
		err = why_say(why, -EINVAL, "only %zu of %zu functions are the same code", same,
			      from->count);
	if (!err)
		err = move_all(symbols, from, to, pair, why);
	if (!err)
		err = say(symbols, same, from->count);
	free(pair);
	return err;
}

int rebase_functions(struct symbols *symbols, const struct image *from, const struct image *to,
		     const struct why *why)
{
	struct program one = {.image = from}, other = {.image = to};
	int err = functions_of(from, &one.function, &one.count);

	if (!err)
		err = functions_of(to, &other.function, &other.count);
	if (err)
		why_say(why, err, "its functions can't be told apart");
	else
		err = compare(symbols, &one, &other, why);
	free(one.function);
	free(other.function);
	return err;
}
