// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/expression_lexer.h"

#define EXPRESSION_LEXER_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define EXPRESSION_LEXER_DIGITS	 "0123456789"

/* Not the locale's letters: C's. */
static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static void number(struct expression_token *token)
{
	char *end;

	token->length = strspn(token->text, EXPRESSION_LEXER_LETTERS EXPRESSION_LEXER_DIGITS);
	errno = 0;
	token->number = strtoull(token->text, &end, 0);
	token->kind = errno || end != token->text + token->length ? EXPRESSION_TOKEN_BAD
								  : EXPRESSION_TOKEN_NUMBER;
}

const char *expression_lexer_next(const char *text, struct expression_token *ret)
{
	struct expression_token token = {.text = text + strspn(text, " \t\n")};
	char first = *token.text;

	if (is_one_of(first, EXPRESSION_LEXER_LETTERS)) {
		token.kind = EXPRESSION_TOKEN_NAME;
		token.length = strspn(token.text, EXPRESSION_LEXER_LETTERS EXPRESSION_LEXER_DIGITS);
	} else if (is_one_of(first, EXPRESSION_LEXER_DIGITS)) {
		number(&token);
	} else if (!strncmp(token.text, "->", 2)) {
		token.kind = EXPRESSION_TOKEN_ARROW;
		token.length = 2;
	} else if (first) {
		token.kind =
			is_one_of(first, ".[]()*&") ? EXPRESSION_TOKEN_SIGN : EXPRESSION_TOKEN_BAD;
		token.length = 1;
	}
	*ret = token;
	return token.text + token.length;
}

bool expression_token_is(const struct expression_token *token, const char *text)
{
	return token->length == strlen(text) && !memcmp(token->text, text, token->length);
}
