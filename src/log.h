/* SPDX-License-Identifier: GPL-2.0-only */
/* One path for everything that is said on stderr, libbpf's words included. */
#ifndef TURNPIKE_SRC_LOG_H
#define TURNPIKE_SRC_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* What is below LEVEL is left out; libbpf speaks one level more quietly. */
void log_set_level(enum log_level level);
/* Lines of JSON from now on: time, level, message. */
void log_set_json(bool json);
void log_at(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_at(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_info(...)	 log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	 log_at(LOG_DEBUG, __VA_ARGS__)

#endif
