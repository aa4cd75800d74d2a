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

/* argp's own --help is silent where argp's own error messages are. */
#define OPTION_HELP 'h'
static const struct argp_option options_help[] = {
	{"help", OPTION_HELP, NULL, 0, "this text", -1},
	{},
};

/* Around a command's own parser: remembers where it stopped. */
struct options {
	const struct argp *argp;
	void *input;
	int next; /* index of the argument after the one that was refused */
};

static error_t options_watch(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;

	(void)argument;
	if (key == ARGP_KEY_INIT)
		state->child_inputs[0] = options->input;
	if (key == ARGP_KEY_ERROR)
		options->next = state->next;
	if (key == OPTION_HELP) {
		argp_help(options->argp, stdout, ARGP_HELP_STD_HELP, state->name);
		exit(EXIT_SUCCESS);
	}
	return key == ARGP_KEY_INIT ? 0 : ARGP_ERR_UNKNOWN;
}

bool options_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	struct argp inner = *argp;
	const struct argp_child children[] = {{.argp = &inner}, {}};
	const struct argp outer = {
		.options = options_help,
		.parser = options_watch,
		.args_doc = argp->args_doc,
		.doc = argp->doc,
		.children = children,
	};
	struct options options = {.argp = &outer, .input = input};
	char name[64];
	error_t err;

	inner.doc = inner.args_doc = NULL;
	snprintf(name, sizeof(name), "turnpike %s", argv[0]);
	argv[0] = name; /* in --help */
	err = argp_parse(&outer, argc, argv, ARGP_NO_ERRS | ARGP_NO_HELP, NULL, &options);
	if (err && err != OPTIONS_SAID)
		log_error("unknown option, or one without its value: `%s`; `%s --help` lists the "
			  "options",
			  options.next > 1 && options.next <= argc ? argv[options.next - 1] : "?",
			  name);
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

	return err ? options_error("%s: can't read the folder %s: %s", name, path, strerror(-err))
		   : 0;
}
