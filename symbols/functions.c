// SPDX-License-Identifier: GPL-2.0-only
/*
 * .eh_frame_hdr (Linux Standard Base, Core, 10.6.2) has a sorted table of all functions, as
 * linkers for x86-64 write it: each entry where a function begins and where its frame
 * description lies, relative to the table. The description has the function's size.
 */
#include <errno.h>
#include <gelf.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/functions.h"
#include "symbols/image.h"

#define FUNCTIONS	  (1u << 20)
#define FUNCTIONS_VERSION 1
#define ENCODED_POINTER	  0x1b /* of .eh_frame: relative to itself, 4 bytes */
#define ENCODED_COUNT	  0x03 /* 4 bytes */
#define ENCODED_TABLE	  0x3b /* relative to the header, 4 bytes */

struct header {
	uint8_t version, pointer, count_encoding, table_encoding;
	int32_t eh_frame;
	uint32_t count;
};

struct entry {
	int32_t begin, description;
};

/* What of a description is of use: its length, its common part, where and how long. */
struct description {
	uint32_t length, common;
	int32_t begin;
	uint32_t size;
};

static bool find_segment(const struct image *image, GElf_Word type, uint64_t address,
			 GElf_Phdr *ret)
{
	size_t count;

	if (elf_getphdrnum(image_elf(image), &count))
		return false;
	for (size_t i = 0; i < count && i < INT_MAX; i++)
		if (gelf_getphdr(image_elf(image), (int)i, ret) && ret->p_type == type &&
		    (!address ||
		     (address >= ret->p_vaddr && address - ret->p_vaddr < ret->p_filesz)))
			return true;
	return false;
}

/* SIZE bytes at an address; NULL: there are none. The ELF handle keeps them. */
static const void *bytes_at(const struct image *image, uint64_t address, size_t size)
{
	GElf_Phdr segment;
	Elf_Data *data;

	if (!find_segment(image, PT_LOAD, address, &segment) ||
	    size > segment.p_filesz - (address - segment.p_vaddr))
		return NULL;
	data = elf_getdata_rawchunk(image_elf(image),
				    (int64_t)(address - segment.p_vaddr + segment.p_offset), size,
				    ELF_T_BYTE);
	return data ? data->d_buf : NULL;
}

static int read_entry(uint64_t header, const struct entry *entry, const uint8_t *frames,
		      uint64_t frames_address, uint64_t frames_size, struct function_range *ret)
{
	uint64_t at = header + (int64_t)entry->description - frames_address;
	struct description description;

	if (at > frames_size || frames_size - at < sizeof(description))
		return -EINVAL;
	memcpy(&description, frames + at, sizeof(description));
	ret->address = header + (int64_t)entry->begin;
	ret->size = description.size;
	return 0;
}

int functions_of(const struct image *image, struct function_range **ret, size_t *ret_count)
{
	struct function_range *ranges;
	const struct entry *table;
	const struct header *header;
	const uint8_t *frames;
	GElf_Phdr segment, frames_segment;
	int err = 0;

	if (!find_segment(image, PT_GNU_EH_FRAME, 0, &segment))
		return -ENODATA;
	header = bytes_at(image, segment.p_vaddr, sizeof(*header));
	if (!header || header->version != FUNCTIONS_VERSION || header->pointer != ENCODED_POINTER ||
	    header->count_encoding != ENCODED_COUNT || header->table_encoding != ENCODED_TABLE ||
	    header->count > FUNCTIONS ||
	    !find_segment(image, PT_LOAD, segment.p_vaddr, &frames_segment))
		return -ENODATA;
	table = bytes_at(image, segment.p_vaddr + sizeof(*header), header->count * sizeof(*table));
	frames = bytes_at(image, frames_segment.p_vaddr, frames_segment.p_filesz);
	ranges = calloc(header->count + 1UL, sizeof(*ranges));
	if (!table || !frames || !ranges)
		err = ranges ? -ENODATA : -ENOMEM;
	for (uint32_t i = 0; !err && i < header->count; i++)
		err = read_entry(segment.p_vaddr, &table[i], frames, frames_segment.p_vaddr,
				 frames_segment.p_filesz, &ranges[i]);
	if (err) {
		free(ranges);
		return err;
	}
	*ret = ranges;
	*ret_count = header->count;
	return 0;
}
