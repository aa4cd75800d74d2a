// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <bpf/libbpf.h>
#include <cjson/cJSON.h>
#include "src/log.h"

static enum log_level log_threshold = LOG_INFO;
static bool log_json;

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

void log_set_json(bool json)
{
	log_json = json;
}

static void log_text_line(enum log_level level, const char *text)
{
	fprintf(stderr, "turnpike: %s%s\n", level == LOG_WARNING ? "warning: " : "", text);
}

/* RFC 8259, one object a line; the time as RFC 3339 has it. */
static void log_json_line(enum log_level level, const char *text)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	cJSON *line = cJSON_CreateObject();
	char stamp[64], *printed;
	struct timespec now;
	struct tm utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(stamp + strlen(stamp), sizeof(stamp) - strlen(stamp), ".%03ldZ",
		 now.tv_nsec / 1000000);
	cJSON_AddStringToObject(line, "time", stamp);
	cJSON_AddStringToObject(line, "level", names[level]);
	cJSON_AddStringToObject(line, "message", text);
	printed = cJSON_PrintUnformatted(line);
	fprintf(stderr, "%s\n", printed ? printed : "{}");
	cJSON_free(printed);
	cJSON_Delete(line);
}

void log_at(enum log_level level, const char *format, ...)
{
	char text[2048];
	va_list args;

	if (level > log_threshold)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (log_json)
		log_json_line(level, text);
	else
		log_text_line(level, text);
}
