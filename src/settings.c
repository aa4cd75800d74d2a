// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/server.h"
#include "src/settings.h"
#include "symbols/symbols.h"

#define SETTINGS_BYTES	    65536 /* of a command line */
#define SETTINGS_WORDS	    1024

/* RFC 8656, 9 and 12. */
#define SETTINGS_CHANNEL    600
#define SETTINGS_PERMISSION 300

struct words {
	char *text;
	char *word[SETTINGS_WORDS];
	size_t count;
};

static int words_read(pid_t pid, struct words *ret)
{
	char path[32];
	size_t length;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	ret->text = calloc(1, SETTINGS_BYTES + 1);
	length = ret->text ? fread(ret->text, 1, SETTINGS_BYTES, file) : 0;
	fclose(file);
	if (!ret->text)
		return -ENOMEM;
	for (char *at = ret->text; at < ret->text + length && ret->count < SETTINGS_WORDS;
	     at += strlen(at) + 1)
		ret->word[ret->count++] = at;
	return 0;
}

/* What was found of one option. */
struct found {
	bool any;
	unsigned int least, most;
};

static void found_take(struct found *found, const char *text)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (end == text || number > UINT_MAX)
		return;
	if (!found->any || number < found->least)
		found->least = number;
	if (!found->any || number > found->most)
		found->most = number;
	found->any = true;
}

/* The value in "--option=value", or in "--option value"; an option may be cut short. NULL: another.
 */
static const char *option_value(const struct words *words, size_t i, const char *option)
{
	const char *word = words->word[i], *equals;
	size_t length;

	if (!word || strncmp(word, "--", 2))
		return NULL;
	word += 2;
	equals = strchr(word, '=');
	length = equals ? (size_t)(equals - word) : strlen(word);
	if (!length || strncmp(word, option, length))
		return NULL;
	if (equals)
		return equals + 1;
	return i + 1 < words->count ? words->word[i + 1] : "";
}

static void search_words(const struct words *words, const char *option, struct found *found)
{
	const char *value;

	for (size_t i = 1; *option && i < words->count; i++) {
		value = option_value(words, i, option);
		if (value)
			found_take(found, value);
	}
}

/* "option=value" or "option value", one a line. */
static void search_line(char *line, const char *option, struct found *found)
{
	size_t length = strlen(option);

	line += strspn(line, " \t");
	if (strncmp(line, option, length) ||
	    !(isspace((unsigned char)line[length]) || line[length] == '='))
		return;
	line += length;
	found_take(found, line + strspn(line, " \t="));
}

static void search_file(const char *path, const char *option, struct found *found)
{
	FILE *file = fopen(path, "re");
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		search_line(line, option, found);
	if (file)
		fclose(file);
}

/* As the server sees the file system. */
static void path_of(const struct server *server, const char *name, char *ret, size_t size)
{
	snprintf(ret, size, "/proc/%d/%s/%s", server->pid, *name == '/' ? "root" : "cwd", name);
}

struct search {
	const struct server *server;
	const struct symbols_wire *wire;
	const struct words *words;
};

/* The file that the command line names; "": none; NULL: it says that there is none. */
static const char *settings_file(const struct search *search)
{
	const struct words *words = search->words;

	for (size_t i = 1; i < words->count; i++) {
		if (!strcmp(words->word[i], search->wire->settings_option) && i + 1 < words->count)
			return words->word[i + 1];
		if (!strcmp(words->word[i], search->wire->no_settings_option))
			return NULL;
	}
	return "";
}

static struct found search_option(const struct search *search, const char *option)
{
	const char *file = settings_file(search);
	struct found found = {};
	char path[PATH_MAX];

	search_words(search->words, option, &found);
	if (!file || !*option)
		return found;
	if (*file) {
		path_of(search->server, file, path, sizeof(path));
		search_file(path, option, &found);
	}
	for (unsigned int i = 0; !*file && i < search->wire->settings_files; i++) {
		path_of(search->server, search->wire->settings_file[i], path, sizeof(path));
		search_file(path, option, &found);
	}
	return found;
}

static unsigned int search_least(const struct search *search, const char *option,
				 unsigned int otherwise)
{
	struct found found = search_option(search, option);

	return found.any ? found.least : otherwise;
}

int settings_read(const struct server *server, const struct symbols_wire *wire,
		  struct settings *ret)
{
	struct settings settings = {
		SETTINGS_CHANNEL, SETTINGS_PERMISSION, SETTINGS_PERMISSION, 0, 0, false};
	struct words words = {};
	struct search search = {server, wire, &words};
	struct found found;
	int err = wire ? words_read(server->pid, &words) : 0;

	if (!err && wire) {
		settings.channel =
			search_least(&search, wire->channel_option, wire->channel_lifetime);
		settings.permission =
			search_least(&search, wire->permission_option, wire->permission_lifetime);
		settings.bind_permission =
			wire->bind_lifts_permission ? settings.channel : settings.permission;
		settings.low_port = search_least(&search, wire->low_port_option, wire->low_port);
		found = search_option(&search, wire->high_port_option);
		settings.high_port = found.any ? found.most : wire->high_port;
		found = search_option(&search, wire->limit_option);
		settings.limited = found.any && found.most;
	}
	free(words.text);
	if (!err)
		*ret = settings;
	return err;
}
