// SPDX-License-Identifier: GPL-2.0-only
/*
 * Symbols of one build for another one of the same code. A package that was
 * stripped can be rebuilt from its source with debug information; where strings
 * or tables then lie elsewhere, only the displacements that reach them differ,
 * and the few constants that tell another library's version. A struct of another
 * layout would show as displacements from other registers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/image.h"
#include "symbols/rebase.h"
#include "symbols/symbols.h"
#include "symbols/why.h"

#define REBASE_OPERAND	 4  /* bytes of a displacement, or of a constant */
#define REBASE_PART	 50 /* at most one byte in so many may differ */
#define REBASE_CONSTANTS 4
#define REBASE_LARGEST	 (256ULL << 20)

struct code {
	uint8_t *bytes;
	uint64_t address, size;
};

static int code_read(const struct image *image, unsigned int index, struct code *ret)
{
	uint64_t offset;
	int err;

	ret->bytes = NULL;
	if (!image_segment(image, index, &ret->address, &ret->size))
		return -ENOENT;
	if (ret->size > REBASE_LARGEST)
		return -EFBIG;
	ret->bytes = malloc(ret->size);
	if (!ret->bytes)
		return -ENOMEM;
	err = image_file_offset(image, ret->address, &offset);
	return err ? err : image_code(image, offset, ret->bytes, ret->size);
}

/* ModRM of an operand at rip + disp32 (Intel SDM volume 2, table 2-7). */
bool rebase_is_relative(uint8_t modrm)
{
	return (modrm & 0xc7) == 0x05;
}

/* MOV r32, imm32 */
static bool is_move_constant(uint8_t opcode)
{
	return (opcode & 0xf8) == 0xb8;
}

bool rebase_follows(const uint8_t *code, size_t first, size_t last, bool (*is)(uint8_t))
{
	for (size_t back = 1; back <= REBASE_OPERAND && back <= first; back++)
		if (last <= first - back + REBASE_OPERAND && is(code[first - back]))
			return true;
	return false;
}

static int compare_code(const struct code *one, const struct code *other, const struct why *why)
{
	unsigned int constants = 0;
	uint64_t differ = 0;

	if (one->address != other->address || one->size != other->size)
		return why_say(why, -EINVAL, "the code is of another size or at another address");
	for (uint64_t i = 0; i < one->size; i++) {
		uint64_t first = i;

		while (i < one->size && one->bytes[i] != other->bytes[i])
			i++;
		if (i == first)
			continue;
		differ += i - first;
		if (rebase_follows(one->bytes, first, i - 1, rebase_is_relative))
			continue;
		if (!rebase_follows(one->bytes, first, i - 1, is_move_constant) ||
		    constants++ == REBASE_CONSTANTS)
			return why_say(why, -EINVAL,
				       "the code differs at 0x%llx, and not in where "
				       "data is",
				       (unsigned long long)one->address + first);
	}
	if (differ * REBASE_PART > one->size)
		return why_say(why, -EINVAL, "%llu bytes of code differ: it is other code",
			       (unsigned long long)differ);
	return 0;
}

static int compare_images(const struct image *from, const struct image *to, const struct why *why)
{
	int err = 0;

	for (unsigned int i = 0; !err; i++) {
		struct code one = {}, other = {};
		int end = code_read(from, i, &one);

		err = code_read(to, i, &other);
		if (!end && !err)
			err = compare_code(&one, &other, why);
		else if (end == -ENOENT && err == -ENOENT && i)
			err = -ENOENT; /* the end of both */
		else
			err = why_say(why, -EINVAL, "the code can't be compared");
		free(one.bytes);
		free(other.bytes);
	}
	return err == -ENOENT ? 0 : err;
}

int symbols_rebase(struct symbols *symbols, const struct image *from, const struct image *to,
		   char *text)
{
	const struct why why = {text, SYMBOLS_WHY};
	char whole[SYMBOLS_WHY];
	int err = compare_images(from, to, &(struct why){whole, sizeof(whole)});
	char *id;

	if (err == -EINVAL)
		err = rebase_functions(symbols, from, to, &why);

	for (unsigned int e = 0; !err && e < symbols->events; e++)
		for (unsigned int p = 0; !err && p < symbols->event[e].probes; p++) {
			struct symbols_probe *probe = &symbols->event[e].probe[p];

			err = image_code(to, probe->offset, probe->code, sizeof(probe->code));
		}
	if (err)
		return err;
	id = strdup(image_build_id(to));
	if (!id)
		return -ENOMEM;
	free(symbols->build_id);
	symbols->build_id = id;
	return 0;
}
