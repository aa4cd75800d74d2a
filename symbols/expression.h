/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The C expressions of profiles, taken apart: one name and the operators that
 * are applied to it, innermost first. Knows nothing of types or DWARF.
 *
 * There are only unary operators, so an expression is a list, not a tree:
 * ((turn_permission_info *)chn->owner)->addr is chn, ->owner, cast, ->addr.
 */
#ifndef TURNPIKE_SYMBOLS_EXPRESSION_H
#define TURNPIKE_SYMBOLS_EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPRESSION_LENGTH   512 /* characters */
#define EXPRESSION_NESTING  32	/* parentheses and prefix operators within each other */
#define EXPRESSION_STEPS    32
#define EXPRESSION_POINTERS 8 /* stars of a cast */

enum expression_type_kind {
	EXPRESSION_NAMED, /* a typedef */
	EXPRESSION_STRUCT,
	EXPRESSION_UNION,
	EXPRESSION_ENUM,
	EXPRESSION_INTEGER, /* of C's own, known by its size */
	EXPRESSION_VOID,
};

struct expression_type {
	enum expression_type_kind kind;
	const char *name;      /* without struct, union, enum; NULL for C's own types */
	unsigned int size;     /* bytes of an integer */
	unsigned int pointers; /* stars after it */
};

enum expression_step_kind {
	EXPRESSION_MEMBER,  /* .name */
	EXPRESSION_ARROW,   /* ->name */
	EXPRESSION_INDEX,   /* [index] */
	EXPRESSION_CONTENT, /* unary * */
	EXPRESSION_ADDRESS, /* unary & */
	EXPRESSION_CAST,
};

struct expression_step {
	enum expression_step_kind kind;
	const char *name;
	uint64_t index;
	struct expression_type type;
};

/* Its names point into `pool`: not to be copied. */
struct expression {
	const char *root; /* a parameter or "return" */
	unsigned int steps;
	struct expression_step step[EXPRESSION_STEPS];
	size_t used;
	char pool[EXPRESSION_LENGTH + 2];
};

/* -EINVAL: not an expression of this grammar, -E2BIG: too long or too deep; WHY says it. */
int expression_parse(const char *text, struct expression *ret, char *why, size_t size);

#endif
