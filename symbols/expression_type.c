// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include "symbols/expression_type.h"

/* Words of C's own types, as many as were read of each. */
struct words {
	unsigned int chars, shorts, ints, longs, bools, voids, signs, floats;
};

static const struct {
	const char *text;
	size_t count; /* its counter in struct words */
} words_known[] = {
	{"char", offsetof(struct words, chars)},     {"short", offsetof(struct words, shorts)},
	{"int", offsetof(struct words, ints)},	     {"long", offsetof(struct words, longs)},
	{"bool", offsetof(struct words, bools)},     {"_Bool", offsetof(struct words, bools)},
	{"void", offsetof(struct words, voids)},     {"signed", offsetof(struct words, signs)},
	{"unsigned", offsetof(struct words, signs)}, {"float", offsetof(struct words, floats)},
	{"double", offsetof(struct words, floats)},
};

static const struct {
	const char *text;
	enum expression_type_kind kind;
} tags[] = {
	{"struct", EXPRESSION_STRUCT},
	{"union", EXPRESSION_UNION},
	{"enum", EXPRESSION_ENUM},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_qualifier(const struct expression_token *token)
{
	return expression_token_is(token, "const") || expression_token_is(token, "volatile");
}

/* Counts the word if it is one; WORDS may be NULL. */
static bool is_word(const struct expression_token *token, struct words *words)
{
	for (size_t i = 0; i < COUNT(words_known); i++) {
		if (!expression_token_is(token, words_known[i].text))
			continue;
		if (words)
			++*(unsigned int *)((char *)words + words_known[i].count);
		return true;
	}
	return false;
}

static bool is_tag(const struct expression_token *token, enum expression_type_kind *kind)
{
	for (size_t i = 0; i < COUNT(tags); i++) {
		if (expression_token_is(token, tags[i].text)) {
			*kind = tags[i].kind;
			return true;
		}
	}
	return false;
}

/*
 * "(name" begins a cast if what follows makes no sense otherwise: stars up to
 * the parenthesis, or an operand after it. So no table of types is needed.
 */
static bool is_cast_of_name(const char *next)
{
	struct expression_token token;
	bool stars = false;

	next = expression_lexer_next(next, &token);
	while (expression_token_is(&token, "*") || is_qualifier(&token)) {
		stars = true;
		next = expression_lexer_next(next, &token);
	}
	if (!expression_token_is(&token, ")"))
		return false;
	expression_lexer_next(next, &token);
	return stars || token.kind == EXPRESSION_TOKEN_NAME || expression_token_is(&token, "(") ||
	       expression_token_is(&token, "*") || expression_token_is(&token, "&");
}

bool expression_type_follows(const struct expression_parser *parser)
{
	enum expression_type_kind kind;
	struct expression_token token;
	const char *next;

	if (!expression_token_is(&parser->token, "("))
		return false;
	next = expression_lexer_next(parser->next, &token);
	if (is_qualifier(&token) || is_word(&token, NULL) || is_tag(&token, &kind))
		return true;
	return token.kind == EXPRESSION_TOKEN_NAME && is_cast_of_name(next);
}

static int from_words(const struct expression_parser *parser, const struct words *words,
		      struct expression_type *ret)
{
	unsigned int kinds =
		!!words->chars + !!words->shorts + !!words->longs + !!words->bools + !!words->voids;

	if (words->floats)
		return why_say(&parser->why, -EINVAL,
			       "a cast to floating point in `%s`: only integers can be read",
			       parser->begin);
	if (kinds > 1 || words->chars > 1 || words->shorts > 1 || words->ints > 1 ||
	    words->longs > 2 || words->signs > 1 ||
	    (words->ints && (words->chars || words->bools || words->voids)))
		return why_say(&parser->why, -EINVAL, "`%s` casts to a type that C doesn't have",
			       parser->begin);
	ret->kind = words->voids ? EXPRESSION_VOID : EXPRESSION_INTEGER;
	if (words->voids)
		ret->size = 0;
	else if (words->chars || words->bools)
		ret->size = 1;
	else if (words->shorts)
		ret->size = 2;
	else
		ret->size = words->longs ? 8 : 4;
	return 0;
}

static int specifiers(struct expression_parser *parser, struct expression_type *ret)
{
	struct words words = {0};
	bool any = false;

	while (is_qualifier(&parser->token))
		expression_advance(parser);
	if (is_tag(&parser->token, &ret->kind)) {
		expression_advance(parser);
		return expression_keep_name(parser, "the name of a type", &ret->name);
	}
	while (is_word(&parser->token, &words) || is_qualifier(&parser->token)) {
		any = true;
		expression_advance(parser);
	}
	if (any)
		return from_words(parser, &words, ret);
	ret->kind = EXPRESSION_NAMED;
	return expression_keep_name(parser, "the name of a type", &ret->name);
}

int expression_type_parse(struct expression_parser *parser, struct expression_type *ret)
{
	int err;

	expression_advance(parser);
	err = specifiers(parser, ret);
	while (!err && (expression_token_is(&parser->token, "*") || is_qualifier(&parser->token))) {
		ret->pointers += *parser->token.text == '*';
		expression_advance(parser);
		if (ret->pointers > EXPRESSION_POINTERS)
			err = why_say(&parser->why, -E2BIG, "a cast with more than %d stars",
				      EXPRESSION_POINTERS);
	}
	if (err)
		return err;
	if (!expression_token_is(&parser->token, ")"))
		return expression_unexpected(parser, "`)`");
	expression_advance(parser);
	return 0;
}
