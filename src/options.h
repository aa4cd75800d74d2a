/* SPDX-License-Identifier: GPL-2.0-only */
/* argp, with one line for what is wrong. */
#ifndef TURNPIKE_SRC_OPTIONS_H
#define TURNPIKE_SRC_OPTIONS_H

#include <argp.h>
#include <errno.h>
#include <stdbool.h>

#define OPTIONS_PID_MAX (1 << 22) /* PID_MAX_LIMIT, include/linux/threads.h */
#define OPTIONS_SAID	ECANCELED /* what is wrong was said; argp has other errors of its own */

/* Parses; false after one line on stderr if an option is wrong (then: EXIT_USAGE). */
bool options_parse(const struct argp *argp, int argc, char **argv, void *input);

/* For parsers: says what is wrong, and returns what makes options_parse() fail. */
error_t options_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A whole number from 1 to MOST; 0 after saying what is wrong. */
long options_number(const char *name, const char *text, long most);

/* 0 if NAME's value is a folder that can be listed; else says why not. */
error_t options_directory(const char *name, const char *path);

#endif
