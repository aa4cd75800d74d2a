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
static int entry_of(Dwarf_Die *die, uint64_t *ret)
{
	Dwarf_Addr base, start, end;

	if (!dwarf_entrypc(die, &start) || dwarf_ranges(die, 0, &base, &start, &end) > 0) {
		*ret = start;
		return start ? 0 : -ENOENT; /* 0: dropped by the linker */
	}
	return -ENOENT;
}

static int open_dwarf(struct debuginfo *info)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;
	int err;

	info->dwarf = dwarf_begin_elf(image_elf(info->image), DWARF_C_READ, NULL);
	if (info->dwarf && debuginfo_unit(info->dwarf, &unit, &die))
		return 0;
	err = debuginfo_file_open(info->image, &info->separate);
	if (err == -ENOENT)
		return -ENODATA;
	if (err)
		return err;
	dwarf_end(info->dwarf);
	info->dwarf = dwarf_begin_elf(image_elf(info->separate), DWARF_C_READ, NULL);
	unit = NULL;
	return info->dwarf && debuginfo_unit(info->dwarf, &unit, &die) ? 0 : -ENODATA;
}

int debuginfo_open(struct image *image, struct debuginfo **ret)
{
	struct debuginfo *info = calloc(1, sizeof(*info));
	int err;

	if (!info)
		return -ENOMEM;
	info->image = image;
	err = open_dwarf(info);
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
	dwarf_end(info->dwarf);
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
static bool symbol_at(const struct debuginfo *info, const char *name, uint64_t address)
{
	return image_symbol_at(info->image, name, address) ||
	       (info->separate && image_symbol_at(info->separate, name, address));
}

struct candidates {
	const struct debuginfo_entry *plain, *other;
	unsigned int plains, others; /* with different entries */
	uint64_t plain_entry, other_entry;
	bool abstract;
};

static void consider(const struct debuginfo *info, const struct debuginfo_entry *entry,
		     const char *symbol, struct candidates *found)
{
	Dwarf_Die die = entry->die;
	uint64_t address;

	if (entry_of(&die, &address)) {
		found->abstract = true;
	} else if (symbol_at(info, symbol, address)) {
		found->plains += !found->plain || found->plain_entry != address;
		found->plain = entry;
		found->plain_entry = address;
	} else {
		found->others += !found->other || found->other_entry != address;
		found->other = entry;
		found->other_entry = address;
	}
}

static int none(const struct debuginfo *info, const char *name, const struct candidates *found,
		const struct why *why)
{
	unsigned int sites;

	if (!found->abstract)
		return why_say(why, -ENOENT, "no function `%s` in the debug information of `%s`",
			       name, debuginfo_path(info));
	sites = debuginfo_inlined(info->dwarf, name);
	if (!sites)
		return why_say(why, -ENOTSUP, "`%s` has no code in this build", name);
	return why_say(why, -ENOTSUP, "inlined at %u site%s", sites, sites == 1 ? "" : "s");
}

/* Takes the plain function, else its only clone. */
static int choose(const struct debuginfo *info, const char *name, const struct candidates *found,
		  struct debuginfo_function *function, const struct why *why)
{
	bool exact = strchr(name, '.');

	if (!found->plain && (exact || !found->other))
		return none(info, name, found, why);
	if (found->plains > 1)
		return why_say(why, -ENOTSUP, "%u functions are named `%s`", found->plains, name);
	if (!found->plain && found->others > 1)
		return why_say(
			why, -ENOTSUP,
			"`%s` exists in %u variants only: name one by its symbol, as `%s.part.0`",
			name, found->others, name);
	function->die = found->plain ? found->plain->die : found->other->die;
	function->entry = found->plain ? found->plain_entry : found->other_entry;
	return 0;
}

/* A name with a suffix, `f.part.0`, is the symbol of a clone of f. */
static int find(const struct debuginfo *info, const char *name, struct debuginfo_function *function,
		const struct why *why)
{
	char *source = strndup(name, strcspn(name, "."));
	const struct debuginfo_entry *entry;
	struct candidates found = {0};
	size_t count;
	int err;

	if (!source)
		return -ENOMEM;
	entry = debuginfo_index_find(&info->functions, source, &count);
	for (size_t i = 0; i < count; i++)
		consider(info, &entry[i], name, &found);
	err = choose(info, name, &found, function, why);
	free(source);
	return err;
}

static bool is_isra(const struct debuginfo *info, const char *name, uint64_t entry)
{
	static const char *const suffix[] = {"isra.0", "isra.1", "constprop.0.isra.0",
					     "constprop.1.isra.0", "isra.0.constprop.0"};
	bool found = strstr(name, ".isra");

	for (size_t i = 0; !found && i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		char symbol[256];

		snprintf(symbol, sizeof(symbol), "%s.%s", name, suffix[i]);
		found = symbol_at(info, symbol, entry);
	}
	return found;
}

int debuginfo_function(struct debuginfo *info, const char *name, struct debuginfo_function **ret,
		       char *text, size_t size)
{
	struct debuginfo_function *function = calloc(1, sizeof(*function));
	const struct why why = {text, size};
	int err = -ENOMEM;

	if (!function)
		return why_say(&why, err, "out of memory");
	function->name = strdup(name);
	if (!function->name)
		goto cleanup;
	err = find(info, name, function, &why);
	if (err)
		goto cleanup;
	function->info = info;
	function->changed_signature = is_isra(info, name, function->entry);
	function->next = info->handed_out;
	info->handed_out = function;
	*ret = function;
	return 0;
cleanup:
	free(function->name);
	free(function);
	return err;
}

uint64_t debuginfo_function_entry(const struct debuginfo_function *function)
{
	return function->entry;
}
