// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/log.h"
#include "src/options.h"
#include "src/paths.h"

error_t options_error(const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_error("%s", text);
	return OPTIONS_SAID;
}

bool options_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	char name[64];
	int index = 0;
	error_t err;

	snprintf(name, sizeof(name), "turnpike %s", argv[0]);
	argv[0] = name; /* in --help */
	err = argp_parse(argp, argc, argv, ARGP_NO_ERRS, &index, input);
	if (err && err != OPTIONS_SAID)
		log_error("unknown option, or one without its value: `%s`; `%s --help` lists the options",
			  index > 0 && index <= argc ? argv[index - 1] : "", name);
	return !err;
}

long options_number(const char *name, const char *text, long most)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (!*end && end != text && number >= 1 && number <= most)
		return number;
	options_error("%s: `%s` is not a number from 1 to %ld", name, text, most);
	return 0;
}

error_t options_directory(const char *name, const char *path)
{
	int err = paths_check(path);

	return err ? options_error("%s: can't read the folder %s: %s", name, path, strerror(-err)) :
		     0;
}
