/* SPDX-License-Identifier: GPL-2.0-only */
/* Tokens of the C expressions; see expression.h. */
#ifndef TURNPIKE_SYMBOLS_EXPRESSION_LEXER_H
#define TURNPIKE_SYMBOLS_EXPRESSION_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum expression_token_kind {
	EXPRESSION_TOKEN_END,
	EXPRESSION_TOKEN_NAME,
	EXPRESSION_TOKEN_NUMBER,
	EXPRESSION_TOKEN_ARROW,
	EXPRESSION_TOKEN_SIGN, /* one of . [ ] ( ) * & */
	EXPRESSION_TOKEN_BAD,
};

struct expression_token {
	enum expression_token_kind kind;
	const char *text;
	size_t length;
	uint64_t number;
};

/* Reads the token at TEXT, which ends in NUL; returns where the next one begins. */
const char *expression_lexer_next(const char *text, struct expression_token *ret);
bool expression_token_is(const struct expression_token *token, const char *text);

#endif
