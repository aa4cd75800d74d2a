/* SPDX-License-Identifier: GPL-2.0-only */
/* Why something could not be done, in words fit for the user. */
#ifndef TURNPIKE_SYMBOLS_WHY_H
#define TURNPIKE_SYMBOLS_WHY_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Where to say it; text may be NULL. */
struct why {
	char *text;
	size_t size;
};

/* Returns ERR, so that a failing function can end in one line. */
__attribute__((format(printf, 3, 4))) static inline int why_say(const struct why *why, int err,
								const char *format, ...)
{
	va_list args;

	if (!why->text || !why->size)
		return err;
	va_start(args, format);
	vsnprintf(why->text, why->size, format, args);
	va_end(args);
	return err;
}

#endif
