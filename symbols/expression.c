// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include "symbols/expression.h"
#include "symbols/expression_lexer.h"
#include "symbols/expression_type.h"
#include "symbols/why.h"

static int unary(struct expression_parser *parser);

void expression_advance(struct expression_parser *parser)
{
	parser->next = expression_lexer_next(parser->next, &parser->token);
}

int expression_unexpected(const struct expression_parser *parser, const char *wanted)
{
	const struct expression_token *token = &parser->token;
	long column = (long)(token->text - parser->begin) + 1;

	if (token->kind == EXPRESSION_TOKEN_END)
		return why_say(&parser->why, -EINVAL, "`%s` ends where %s is wanted", parser->begin,
			       wanted);
	return why_say(&parser->why, -EINVAL, "`%.*s` at column %ld of `%s` where %s is wanted",
		       (int)token->length, token->text, column, parser->begin, wanted);
}

static int expect(struct expression_parser *parser, const char *sign)
{
	char wanted[] = {'`', *sign, '`', '\0'};

	if (!expression_token_is(&parser->token, sign))
		return expression_unexpected(parser, wanted);
	expression_advance(parser);
	return 0;
}

int expression_keep(struct expression_parser *parser, const char *text, size_t length,
		    const char **ret)
{
	struct expression *expression = parser->expression;
	char *name = expression->pool + expression->used;

	if (length >= sizeof(expression->pool) - expression->used)
		return why_say(&parser->why, -E2BIG, "the expression is too long");
	memcpy(name, text, length);
	name[length] = '\0';
	expression->used += length + 1;
	*ret = name;
	return 0;
}

int expression_keep_name(struct expression_parser *parser, const char *wanted, const char **ret)
{
	int err;

	if (parser->token.kind != EXPRESSION_TOKEN_NAME)
		return expression_unexpected(parser, wanted);
	err = expression_keep(parser, parser->token.text, parser->token.length, ret);
	expression_advance(parser);
	return err;
}

static int add(struct expression_parser *parser, const struct expression_step *step)
{
	struct expression *expression = parser->expression;

	if (expression->steps == EXPRESSION_STEPS)
		return why_say(&parser->why, -E2BIG, "`%s` has more than %d operators",
			       parser->begin, EXPRESSION_STEPS);
	expression->step[expression->steps++] = *step;
	return 0;
}

static int member(struct expression_parser *parser, enum expression_step_kind kind)
{
	struct expression_step step = {.kind = kind};
	int err;

	expression_advance(parser);
	err = expression_keep_name(parser, "the name of a member", &step.name);
	return err ? err : add(parser, &step);
}

static int element(struct expression_parser *parser)
{
	struct expression_step step = {.kind = EXPRESSION_INDEX};
	int err;

	expression_advance(parser);
	if (parser->token.kind != EXPRESSION_TOKEN_NUMBER)
		return expression_unexpected(parser, "a constant index");
	step.index = parser->token.number;
	expression_advance(parser);
	err = expect(parser, "]");
	return err ? err : add(parser, &step);
}

static int postfix(struct expression_parser *parser)
{
	int err = 0;

	while (!err) {
		if (expression_token_is(&parser->token, "."))
			err = member(parser, EXPRESSION_MEMBER);
		else if (expression_token_is(&parser->token, "->"))
			err = member(parser, EXPRESSION_ARROW);
		else if (expression_token_is(&parser->token, "["))
			err = element(parser);
		else
			break;
	}
	return err;
}

static int primary(struct expression_parser *parser)
{
	int err;

	if (!expression_token_is(&parser->token, "("))
		return expression_keep_name(parser, "the name of a parameter",
					    &parser->expression->root);
	expression_advance(parser);
	err = unary(parser);
	return err ? err : expect(parser, ")");
}

/* The operand first: steps are listed innermost first. */
static int prefix(struct expression_parser *parser, struct expression_step *step)
{
	int err;

	if (step->kind == EXPRESSION_CAST)
		err = expression_type_parse(parser, &step->type);
	else
		err = (expression_advance(parser), 0);
	if (!err)
		err = unary(parser);
	return err ? err : add(parser, step);
}

static int unary(struct expression_parser *parser)
{
	struct expression_step step = {0};
	int err;

	if (parser->depth++ == EXPRESSION_NESTING)
		return why_say(&parser->why, -E2BIG, "`%s` is nested more than %d deep",
			       parser->begin, EXPRESSION_NESTING);
	if (expression_token_is(&parser->token, "*")) {
		step.kind = EXPRESSION_CONTENT;
		err = prefix(parser, &step);
	} else if (expression_token_is(&parser->token, "&")) {
		step.kind = EXPRESSION_ADDRESS;
		err = prefix(parser, &step);
	} else if (expression_type_follows(parser)) {
		step.kind = EXPRESSION_CAST;
		err = prefix(parser, &step);
	} else {
		err = primary(parser);
		if (!err)
			err = postfix(parser);
	}
	parser->depth--;
	return err;
}

int expression_parse(const char *text, struct expression *ret, char *why, size_t size)
{
	struct expression_parser parser = {
		.begin = text, .next = text, .expression = ret, .why = {why, size}};
	int err;

	memset(ret, 0, sizeof(*ret));
	if (strnlen(text, EXPRESSION_LENGTH + 1) > EXPRESSION_LENGTH)
		return why_say(&parser.why, -E2BIG, "an expression may have %d characters",
			       EXPRESSION_LENGTH);
	expression_advance(&parser);
	err = unary(&parser);
	if (!err && parser.token.kind != EXPRESSION_TOKEN_END)
		err = expression_unexpected(&parser, "the end or an operator");
	return err;
}
