/* SPDX-License-Identifier: GPL-2.0-only */
/* The words that profiles and symbol maps use for the enums of probes/plan.h, as libcyaml wants
 * them. */
#ifndef TURNPIKE_SYMBOLS_NAMES_H
#define TURNPIKE_SYMBOLS_NAMES_H

#include <stddef.h>
#include <stdint.h>
#include <cyaml/cyaml.h>

enum names_at { NAMES_AT_ENTRY, NAMES_AT_RETURN, NAMES_AT_INLINED /* in maps only */ };
enum names_inlined { NAMES_INLINED_TOO, NAMES_INLINED_IGNORED };

#define NAMES_EVENTS   6
#define NAMES_REFUSALS 5
#define NAMES_READS    6
#define NAMES_BASES    24
#define NAMES_AT       3
#define NAMES_INLINED  2

extern const cyaml_strval_t names_event[NAMES_EVENTS];
extern const cyaml_strval_t names_refusal[NAMES_REFUSALS];
extern const cyaml_strval_t names_read[NAMES_READS];
extern const cyaml_strval_t names_base[NAMES_BASES];
extern const cyaml_strval_t names_at[NAMES_AT];
extern const cyaml_strval_t names_inlined[NAMES_INLINED];

const char *names_of(const cyaml_strval_t *names, size_t count, int64_t value);

/*
 * "== 17" and the like: an operator of C (== != < >), and what is compared with: a
 * number, or else *RET_OTHER is where an expression begins in TEXT. -EINVAL if it isn't.
 */
struct tp_check;
int names_parse_condition(const char *text, struct tp_check *ret, const char **ret_other);

#endif
