/* SPDX-License-Identifier: GPL-2.0-only */
/* The parser's state and its part for casts: internal to expression*.c. */
#ifndef TURNPIKE_SYMBOLS_EXPRESSION_TYPE_H
#define TURNPIKE_SYMBOLS_EXPRESSION_TYPE_H

#include "symbols/expression.h"
#include "symbols/expression_lexer.h"
#include "symbols/why.h"

struct expression_parser {
	const char *begin;
	const char *next; /* after token */
	struct expression_token token;
	unsigned int depth;
	struct expression *expression;
	struct why why;
};

void expression_advance(struct expression_parser *parser);
int expression_unexpected(const struct expression_parser *parser, const char *wanted);
int expression_keep(struct expression_parser *parser, const char *text, size_t length,
		    const char **ret);
int expression_keep_name(struct expression_parser *parser, const char *wanted, const char **ret);

/* Does a cast begin at the token, which may be a parenthesis? */
bool expression_type_follows(const struct expression_parser *parser);
/* Reads "(type *)". */
int expression_type_parse(struct expression_parser *parser, struct expression_type *ret);

#endif
