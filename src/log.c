// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <bpf/libbpf.h>
#include "src/log.h"

static enum log_level log_threshold = LOG_INFO;

static int log_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	/* Its warnings explain failures that we report in our own words: debug. */
	if (log_threshold < LOG_DEBUG || level == LIBBPF_DEBUG)
		return 0;
	return vfprintf(stderr, format, args);
}

void log_set_level(enum log_level level)
{
	log_threshold = level;
	libbpf_set_print(log_libbpf);
}

void log_at(enum log_level level, const char *format, ...)
{
	va_list args;

	if (level > log_threshold)
		return;
	va_start(args, format);
	fputs(level == LOG_WARNING ? "turnpike: warning: " : "turnpike: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}
