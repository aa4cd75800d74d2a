// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>
#include <string.h>
#include "symbols/entry.h"
#include "symbols/image.h"

#define ENTRY_CODE 16 /* bytes that are looked at */

static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};

/* The length of an instruction that changes no register and no memory (Intel SDM volume 2); 0:
 * another one. */
static size_t harmless(const uint8_t *code)
{
	size_t prefix = (code[0] & 0xf0) == 0x40; /* REX */

	if (!memcmp(code, endbr64, sizeof(endbr64)))
		return sizeof(endbr64);
	/* TEST r, r: opcode 85, ModRM with two registers */
	if (code[prefix] == 0x85 && (code[prefix + 1] & 0xc0) == 0xc0)
		return prefix + 2;
	return 0;
}

/* Jcc, short or near. Compilers keep it together with its TEST: nothing else comes to it. */
static int is_conditional_jump(const uint8_t *code)
{
	return (code[0] & 0xf0) == 0x70 || (code[0] == 0x0f && (code[1] & 0xf0) == 0x80);
}

uint64_t entry_stop(const struct image *image, uint64_t address)
{
	uint8_t code[ENTRY_CODE];
	uint64_t offset;
	size_t at = 0, length;

	if (image_file_offset(image, address, &offset) ||
	    image_code(image, offset, code, sizeof(code)))
		return address;
	while (at + 6 <= sizeof(code) && (length = harmless(code + at))) {
		/* A TEST whose jump doesn't follow may be read later, after a loop came back here.
		 */
		if (length != 4 && !is_conditional_jump(code + at + length))
			break;
		at += length;
	}
	return address + at;
}
