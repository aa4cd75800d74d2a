// SPDX-License-Identifier: GPL-2.0-only
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/debuginfo_private.h"
#include "symbols/image.h"

/* Definitions only, concrete or abstract: declarations have no code and no parameters' places. */
static bool is_function(Dwarf_Die *die)
{
	return dwarf_tag(die) == DW_TAG_subprogram && !debuginfo_is(die, DW_AT_declaration);
}

/* Where calls arrive: a function split in hot and cold parts has ranges, the first is its entry. */
int debuginfo_entry(Dwarf_Die *die, uint64_t *ret)
{
	Dwarf_Addr base, start, end;

	if (!dwarf_entrypc(die, &start) || dwarf_ranges(die, 0, &base, &start, &end) > 0) {
		*ret = start;
		return start ? 0 : -ENOENT; /* 0: dropped by the linker */
	}
	return -ENOENT;
}

static int open_dwarf(struct debuginfo *info, const struct debuginfo_files *files)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;
	int err;

	info->dwarf = dwarf_begin_elf(image_elf(info->image), DWARF_C_READ, NULL);
	if (info->dwarf && debuginfo_unit(info->dwarf, &unit, &die)) {
		debuginfo_file_alternate(info->image, info->dwarf, &info->alternate);
		return 0;
	}
	err = debuginfo_file_open(info->image, files, &info->separate);
	if (err == -ENOENT)
		return -ENODATA;
	if (err)
		return err;
	dwarf_end(info->dwarf);
	info->dwarf = dwarf_begin_elf(image_elf(info->separate), DWARF_C_READ, NULL);
	if (!info->dwarf)
		return -ENODATA;
	debuginfo_file_alternate(info->separate, info->dwarf, &info->alternate);
	unit = NULL;
	return debuginfo_unit(info->dwarf, &unit, &die) ? 0 : -ENODATA;
}

int debuginfo_open(struct image *image, const struct debuginfo_files *files, struct debuginfo **ret)
{
	struct debuginfo *info = calloc(1, sizeof(*info));
	int err;

	if (!info)
		return -ENOMEM;
	info->image = image;
	err = open_dwarf(info, files);
	if (!err)
		err = debuginfo_index_add(&info->functions, info->dwarf, is_function);
	if (err) {
		debuginfo_close(info);
		return err;
	}
	debuginfo_index_sort(&info->functions);
	*ret = info;
	return 0;
}

void debuginfo_close(struct debuginfo *info)
{
	struct debuginfo_function *next;

	if (!info)
		return;
	for (struct debuginfo_function *function = info->handed_out; function; function = next) {
		next = function->next;
		free(function->name);
		free(function);
	}
	debuginfo_index_free(&info->functions);
	debuginfo_index_free(&info->types);
	free(info->copies.copy);
	if (info->frames)
		dwarf_cfi_end(info->frames);
	dwarf_end(info->dwarf);
	debuginfo_file_alternate_close(&info->alternate);
	image_close(info->separate);
	free(info);
}

const char *debuginfo_path(const struct debuginfo *info)
{
	return image_path(info->separate ? info->separate : info->image);
}

/* Units without functions may be of another compiler, as the C library's assembler start-up code
 * is. */
const char *debuginfo_producer(const struct debuginfo *info)
{
	Dwarf_Attribute attribute;
	Dwarf_Die function, unit;
	const char *text = NULL;

	if (info->functions.count) {
		function = info->functions.entry[0].die;
		if (dwarf_diecu(&function, &unit, NULL, NULL) &&
		    dwarf_attr(&unit, DW_AT_producer, &attribute))
			text = dwarf_formstring(&attribute);
	}
	return text ? text : "";
}

/* Symbols are the only place where a clone (f.isra.0, f.part.0) differs from its origin f. */
static bool symbol_at(const struct debuginfo *info, const char *name, bool clones, uint64_t address)
{
	return image_symbol_at(info->image, name, clones, address) ||
	       (info->separate && image_symbol_at(info->separate, name, clones, address));
}

static bool symbol_has(const struct debuginfo *info, const char *part, uint64_t address)
{
	return image_symbol_has(info->image, part, address) ||
	       (info->separate && image_symbol_has(info->separate, part, address));
}

struct search {
	struct debuginfo *info;
	const char *name;
	enum debuginfo_wanted wanted;
	struct debuginfo_function **site;
	unsigned int count;
	bool known;   /* DWARF has such a function */
	bool in_part; /* of its code there is a part only, called by copies of the rest */
	struct why why;
};

static bool has_site(const struct search *search, uint64_t entry)
{
	for (unsigned int i = 0; i < search->count; i++)
		if (search->site[i]->entry == entry)
			return true;
	return false;
}

static int add_site(struct search *search, Dwarf_Die *die, const Dwarf_Die *outer, uint64_t entry)
{
	struct debuginfo_function *function;

	if (has_site(search, entry))
		return 0;
	if (search->count == DEBUGINFO_SITES)
		return why_say(&search->why, -E2BIG, "at more than %d places", DEBUGINFO_SITES);
	function = calloc(1, sizeof(*function));
	if (!function)
		return -ENOMEM;
	function->name = strdup(search->name);
	if (!function->name) {
		free(function);
		return -ENOMEM;
	}
	function->info = search->info;
	function->die = *die;
	function->outer = *outer;
	function->is_inlined = dwarf_tag(die) == DW_TAG_inlined_subroutine;
	function->entry = entry;
	function->changed_signature =
		!function->is_inlined && symbol_has(search->info, ".isra", entry);
	function->next = search->info->handed_out;
	search->info->handed_out = function;
	search->site[search->count++] = function;
	return 0;
}

static int consider(struct search *search, const struct debuginfo_entry *entry, bool exact)
{
	Dwarf_Die die = entry->die;
	uint64_t address;

	search->known = true;
	if (debuginfo_entry(&die, &address))
		return 0;
	if (exact && !symbol_at(search->info, search->name, true, address))
		return 0;
	if (!exact && symbol_has(search->info, ".part.", address)) {
		search->in_part = true;
		return 0;
	}
	return add_site(search, &die, &die, address);
}

static int out_of_line(struct search *search, bool exact)
{
	char *source = strndup(search->name, strcspn(search->name, "."));
	const struct debuginfo_entry *entry;
	size_t count;
	int err = 0;

	if (!source)
		return -ENOMEM;
	entry = debuginfo_index_find(&search->info->functions, source, &count);
	for (size_t i = 0; !err && i < count; i++)
		err = consider(search, &entry[i], exact);
	free(source);
	return err;
}

static int inlined(struct search *search)
{
	const struct debuginfo_copy *copy;
	uint64_t entry;
	size_t count;
	int err = debuginfo_copies_of(search->info, search->name, &copy, &count);

	if (err)
		return err;
	if (count && search->wanted == DEBUGINFO_RETURNS)
		return why_say(&search->why, -ENOTSUP,
			       "inlined at %zu site%s, where its return isn't to be seen", count,
			       count == 1 ? "" : "s");
	for (size_t i = 0; !err && i < count; i++) {
		Dwarf_Die die = copy[i].die, outer = copy[i].outer;

		/* What was split off a function may be in that function again. */
		if (!debuginfo_has_name(&outer, search->name) && !debuginfo_entry(&die, &entry))
			err = add_site(search, &die, &outer, entry);
	}
	return err;
}

static int none(const struct search *search, bool exact)
{
	const struct debuginfo_copy *copy;
	size_t count = 0;

	if (!search->known && search->info->alternate.missing)
		return why_say(&search->why, -ENOENT,
			       "its debug information is in part in `%.80s`, which isn't there",
			       search->info->alternate.missing);
	if (!search->known)
		return why_say(&search->why, -ENOENT,
			       "no such function in the debug information of `%s`",
			       debuginfo_path(search->info));
	if (exact)
		return why_say(&search->why, -ENOENT, "this build has no such clone");
	if (search->in_part)
		return why_say(&search->why, -ENOTSUP,
			       "split: name the part that is of use, as `%s.part`", search->name);
	if (!debuginfo_copies_of(search->info, search->name, &copy, &count) && count)
		return why_say(&search->why, -ENOTSUP, "inlined at %zu site%s", count,
			       count == 1 ? "" : "s");
	return why_say(&search->why, -ENOTSUP, "without code in this build");
}

int debuginfo_sites(struct debuginfo *info, const char *name, enum debuginfo_wanted wanted,
		    struct debuginfo_function **ret, unsigned int *ret_count, char *text,
		    size_t size)
{
	struct search search = {
		.info = info, .name = name, .wanted = wanted, .site = ret, .why = {text, size}};
	bool exact = strchr(name, '.');
	int err = out_of_line(&search, exact);

	if (!err && !exact && wanted != DEBUGINFO_OUT_OF_LINE)
		err = inlined(&search);
	if (!err && !search.count)
		err = none(&search, exact);
	if (err == -ENOMEM)
		why_say(&search.why, err, "out of memory");
	*ret_count = search.count;
	return err;
}

uint64_t debuginfo_function_entry(const struct debuginfo_function *function)
{
	return function->entry;
}

const char *debuginfo_function_within(const struct debuginfo_function *function)
{
	Dwarf_Die outer = function->outer;

	return function->is_inlined ? dwarf_diename(&outer) : NULL;
}
