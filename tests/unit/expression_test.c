// SPDX-License-Identifier: GPL-2.0-only
#include "tests/unit/test.h"
#include <errno.h>
#include "symbols/expression.h"

static struct expression parsed;

static void parse(const char *text)
{
	char why[256] = "";

	if (expression_parse(text, &parsed, why, sizeof(why)))
		fail_msg("%s: %s", text, why);
}

static void refuse(const char *text, int err, const char *word)
{
	char why[256] = "";

	assert_int_equal(expression_parse(text, &parsed, why, sizeof(why)), err);
	if (!strstr(why, word))
		fail_msg("`%s` says: %s", text, why);
}

static void step(unsigned int index, enum expression_step_kind kind, const char *name)
{
	assert_true(index < parsed.steps);
	assert_int_equal(parsed.step[index].kind, kind);
	if (name)
		assert_string_equal(parsed.step[index].name, name);
}

static void names(void **state)
{
	(void)state;
	parse("ss");
	assert_string_equal(parsed.root, "ss");
	assert_int_equal(parsed.steps, 0);
	parse("  return ");
	assert_string_equal(parsed.root, "return");
	parse("(((a_1)))");
	assert_string_equal(parsed.root, "a_1");
}

static void members(void **state)
{
	(void)state;
	parse("ss->alloc.relay_sessions[1].s->local_addr");
	assert_string_equal(parsed.root, "ss");
	assert_int_equal(parsed.steps, 5);
	step(0, EXPRESSION_ARROW, "alloc");
	step(1, EXPRESSION_MEMBER, "relay_sessions");
	step(2, EXPRESSION_INDEX, NULL);
	assert_int_equal(parsed.step[2].index, 1);
	step(3, EXPRESSION_MEMBER, "s");
	step(4, EXPRESSION_ARROW, "local_addr");
}

/* Postfix binds closer than prefix, as in C. */
static void precedence(void **state)
{
	(void)state;
	parse("*(int *)server->lifetime");
	assert_int_equal(parsed.steps, 3);
	step(0, EXPRESSION_ARROW, "lifetime");
	step(1, EXPRESSION_CAST, NULL);
	step(2, EXPRESSION_CONTENT, NULL);
	parse("((turn_permission_info *)chn->owner)->addr");
	assert_int_equal(parsed.steps, 3);
	step(0, EXPRESSION_ARROW, "owner");
	step(1, EXPRESSION_CAST, NULL);
	assert_string_equal(parsed.step[1].type.name, "turn_permission_info");
	assert_int_equal(parsed.step[1].type.pointers, 1);
	step(2, EXPRESSION_ARROW, "addr");
	parse("*&**p");
	assert_int_equal(parsed.steps, 4);
	step(2, EXPRESSION_ADDRESS, NULL);
	parse("(*a).b");
	step(0, EXPRESSION_CONTENT, NULL);
	step(1, EXPRESSION_MEMBER, "b");
}

static void casts(void **state)
{
	static const struct {
		const char *text;
		enum expression_type_kind kind;
		unsigned int size, pointers;
	} cases[] = {
		{"(int)x", EXPRESSION_INTEGER, 4, 0},
		{"(unsigned)x", EXPRESSION_INTEGER, 4, 0},
		{"(const unsigned char *)x", EXPRESSION_INTEGER, 1, 1},
		{"(long long unsigned int)x", EXPRESSION_INTEGER, 8, 0},
		{"(unsigned short int)x", EXPRESSION_INTEGER, 2, 0},
		{"(void **)x", EXPRESSION_VOID, 0, 2},
		{"(struct foo *const)x", EXPRESSION_STRUCT, 0, 1},
		{"(union foo *)x", EXPRESSION_UNION, 0, 1},
		{"(enum foo)x", EXPRESSION_ENUM, 0, 0},
		{"(uint32_t)x", EXPRESSION_NAMED, 0, 0},
		{"(foo *)*x", EXPRESSION_NAMED, 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct expression_type *type;

		parse(cases[i].text);
		type = &parsed.step[parsed.steps - 1].type;
		assert_string_equal(parsed.root, "x");
		step(parsed.steps - 1, EXPRESSION_CAST, NULL);
		assert_int_equal(type->kind, cases[i].kind);
		assert_int_equal(type->size, cases[i].size);
		assert_int_equal(type->pointers, cases[i].pointers);
	}
}

static void numbers(void **state)
{
	(void)state;
	parse("a[0x10]");
	assert_int_equal(parsed.step[0].index, 16);
	refuse("a[1x]", -EINVAL, "1x");
	refuse("a[99999999999999999999]", -EINVAL, "constant index");
	refuse("a[-1]", -EINVAL, "constant index");
	refuse("a[b]", -EINVAL, "constant index");
}

static void syntax(void **state)
{
	(void)state;
	refuse("", -EINVAL, "ends");
	refuse("ss->", -EINVAL, "member");
	refuse("ss->client_socket.", -EINVAL, "member");
	refuse("ss + 1", -EINVAL, "`+` at column 4");
	refuse("a b", -EINVAL, "column 3");
	refuse("(a", -EINVAL, "`)`");
	refuse("a)", -EINVAL, "the end");
	refuse("a[0", -EINVAL, "`]`");
	refuse("(struct *)a", -EINVAL, "name of a type");
	refuse("(foo *a", -EINVAL, "");
	refuse("(float)a", -EINVAL, "floating");
	refuse("(short char)a", -EINVAL, "C doesn't have");
	refuse("(long long long)a", -EINVAL, "C doesn't have");
	refuse("\xff", -EINVAL, "");
	refuse("a->\"b\"", -EINVAL, "");
}

/* Bounded in every way. */
static void limits(void **state)
{
	char text[2000];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[EXPRESSION_LENGTH + 1] = '\0';
	refuse(text, -E2BIG, "characters");
	text[EXPRESSION_LENGTH] = '\0';
	parse(text);
	memset(text, '(', 200);
	text[200] = '\0';
	refuse(text, -E2BIG, "nested");
	memset(text, '*', 20);
	strcpy(text + 20, "a");
	parse(text);
	strcpy(text, "a");
	for (int i = 0; i < EXPRESSION_STEPS + 1; i++)
		strcat(text, ".b");
	refuse(text, -E2BIG, "operators");
	refuse("(a *********)b", -E2BIG, "stars");
}

/* Whatever comes in, it returns; sanitizers watch. */
static void noise(void **state)
{
	static const char *const words[] = {"a",     "->", ".", "[",	    "]",   "(",
					    ")",     "*",  "&", "0",	    "int", "struct",
					    "const", " ",  "+", "unsigned", "\x80"};
	char text[400], why[64];

	(void)state;
	for (int round = 0; round < 100000; round++) {
		text[0] = '\0';
		for (int i = rand() % 40; i > 0; i--)
			strcat(text, words[rand() % (sizeof(words) / sizeof(words[0]))]);
		if (!expression_parse(text, &parsed, why, sizeof(why)))
			assert_non_null(parsed.root);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),  cmocka_unit_test(members), cmocka_unit_test(precedence),
		cmocka_unit_test(casts),  cmocka_unit_test(numbers), cmocka_unit_test(syntax),
		cmocka_unit_test(limits), cmocka_unit_test(noise),
	};

	srand(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
