// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "probes/plan.h"
#include "symbols/names.h"
#include "symbols/symbols.h"

const cyaml_strval_t names_event[NAMES_EVENTS] = {
	{"commit", TP_EVENT_COMMIT},
	{"retire", TP_EVENT_RETIRE},
	{"allocation_gone", TP_EVENT_ALLOCATION_GONE},
	{"socket_closed", TP_EVENT_SOCKET_CLOSED},
	{"learn", TP_EVENT_LEARN},
	{"permission", TP_EVENT_PERMISSION},
};

const cyaml_strval_t names_refusal[NAMES_REFUSALS] = {
	{"transport", TP_REFUSE_TRANSPORT}, {"mobility", TP_REFUSE_MOBILITY},
	{"limit", TP_REFUSE_LIMIT},	    {"state", TP_REFUSE_STATE},
	{"nothing", TP_REFUSE_NONE},
};

const cyaml_strval_t names_read[NAMES_READS] = {
	{"u8", TP_READ_U8},   {"u16", TP_READ_U16},	      {"u32", TP_READ_U32},
	{"u64", TP_READ_U64}, {"sockaddr", TP_READ_SOCKADDR}, {"string", TP_READ_STRING},
};

const cyaml_strval_t names_base[NAMES_BASES] = {
	{"arg0", TP_BASE_ARG0},
	{"arg1", 1},
	{"arg2", 2},
	{"arg3", 3},
	{"arg4", 4},
	{"arg5", TP_BASE_ARG5},
	{"return", TP_BASE_RETURN},
	{"each", TP_BASE_EACH},
	{"r15", TP_BASE_R15},
	{"r14", TP_BASE_R14},
	{"r13", TP_BASE_R13},
	{"r12", TP_BASE_R12},
	{"rbp", TP_BASE_RBP},
	{"rbx", TP_BASE_RBX},
	{"r11", TP_BASE_R11},
	{"r10", TP_BASE_R10},
	{"r9", TP_BASE_R9},
	{"r8", TP_BASE_R8},
	{"rax", TP_BASE_RAX},
	{"rcx", TP_BASE_RCX},
	{"rdx", TP_BASE_RDX},
	{"rsi", TP_BASE_RSI},
	{"rdi", TP_BASE_RDI},
	{"rsp", TP_BASE_RSP},
};

const cyaml_strval_t names_at[NAMES_AT] = {
	{"entry", NAMES_AT_ENTRY},
	{"return", NAMES_AT_RETURN},
	{"inlined", NAMES_AT_INLINED},
};

const cyaml_strval_t names_inlined[NAMES_INLINED] = {
	{"too", NAMES_INLINED_TOO},
	{"ignored", NAMES_INLINED_IGNORED},
};

static const char *const field_names[TP_FIELDS] = {
	[TP_FIELD_SESSION] = "session",	  [TP_FIELD_CHANNEL] = "channel",
	[TP_FIELD_CLIENT] = "client",	  [TP_FIELD_SERVER] = "server",
	[TP_FIELD_RELAY_V4] = "relay_v4", [TP_FIELD_RELAY_V6] = "relay_v6",
	[TP_FIELD_PEER] = "peer",	  [TP_FIELD_EXPIRES] = "expires",
	[TP_FIELD_NOW] = "now",		  [TP_FIELD_PERMISSION_EXPIRES] = "permission_expires",
	[TP_FIELD_LIMIT] = "limit",	  [TP_FIELD_USER] = "user",
	[TP_FIELD_REALM] = "realm",	  [TP_FIELD_LOCAL] = "local",
	[TP_FIELD_REMOTE] = "remote",	  [TP_FIELD_LIFETIME] = "lifetime",
};

const char *names_of(const cyaml_strval_t *names, size_t count, int64_t value)
{
	for (size_t i = 0; i < count; i++)
		if (names[i].val == value)
			return names[i].str;
	return "";
}

const char *symbols_event_name(enum tp_event_kind kind)
{
	return names_of(names_event, NAMES_EVENTS, kind);
}

const char *symbols_field_name(enum tp_field_id field)
{
	return field < TP_FIELDS ? field_names[field] : "";
}

const char *symbols_base_name(unsigned int base)
{
	return names_of(names_base, NAMES_BASES, base);
}

const char *symbols_read_name(enum tp_read read)
{
	return names_of(names_read, NAMES_READS, read);
}

static const char *const operators[] = {
	[TP_EQ] = "==",
	[TP_NE] = "!=",
	[TP_LT] = "<",
	[TP_GT] = ">",
};

int names_parse_condition(const char *text, struct tp_check *ret, const char **ret_other)
{
	char *end;

	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		size_t length = strlen(operators[i]);
		const char *operand = text + length;

		if (strncmp(text, operators[i], length))
			continue;
		operand += strspn(operand, " ");
		ret->compare = i;
		*ret_other = NULL;
		if (!isdigit((unsigned char)*operand)) {
			*ret_other = operand;
			return *operand ? 0 : -EINVAL;
		}
		errno = 0;
		ret->value = strtoull(operand, &end, 0);
		return *end || errno ? -EINVAL : 0;
	}
	return -EINVAL;
}

void symbols_condition_text(const struct tp_check *check, const char *other, char *ret, size_t size)
{
	if (check->other.read != TP_READ_NONE)
		snprintf(ret, size, "%s %s", operators[check->compare & 3], other ? other : "");
	else
		snprintf(ret, size, "%s %llu", operators[check->compare & 3],
			 (unsigned long long)check->value);
}
