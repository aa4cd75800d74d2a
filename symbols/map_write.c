// SPDX-License-Identifier: GPL-2.0-only
/* Symbol maps as text; map.c reads them. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include "symbols/names.h"
#include "symbols/symbols.h"

/* As a double-quoted YAML scalar. */
static void quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

/* The keys that tell a path. */
static void write_path(FILE *out, const char *expression, const struct tp_path *path)
{
	fputs("expression: ", out);
	quoted(out, expression);
	fprintf(out, ", base: %s, path: [", symbols_base_name(path->base));
	for (unsigned int i = 0; i < path->count; i++)
		fprintf(out, "%s%d", i ? ", " : "", path->offset[i]);
	fprintf(out, "], read: %s", symbols_read_name(path->read));
	if (path->size)
		fprintf(out, ", size: %u", path->size);
}

static void write_checks(FILE *out, const char *key, const struct symbols_probe *probe,
			 unsigned int first, unsigned int count)
{
	if (count)
		fprintf(out, "        %s:\n", key);
	for (unsigned int i = first; i < first + count; i++) {
		const struct tp_check *check = &probe->plan.check[i];
		char condition[2 * SYMBOLS_WHY];

		fputs("          - {", out);
		write_path(out, probe->check_expression[i], &check->path);
		symbols_condition_text(check, probe->other_expression[i], condition,
				       sizeof(condition));
		fputs(", is: ", out);
		quoted(out, condition);
		if (check->other.read) {
			fputs(", with: {", out);
			write_path(out, probe->other_expression[i], &check->other);
			fputc('}', out);
		}
		if (check->refusal != TP_REFUSE_NONE)
			fprintf(out, ", else: %s",
				names_of(names_refusal, NAMES_REFUSALS, check->refusal));
		fputs("}\n", out);
	}
}

static void write_walk(FILE *out, const struct symbols_probe *probe)
{
	const struct tp_walk *walk = &probe->plan.walk;

	fputs("        walk: {", out);
	write_path(out, probe->walk_expression, &walk->table);
	fprintf(out,
		", buckets: %u, bucket_size: %u, slots: %u, slot_size: %u, slot: %u, more: %u, "
		"more_count: %u}\n",
		walk->buckets, walk->bucket_size, walk->slots, walk->slot_size, walk->slot,
		walk->more, walk->more_count);
}

static void write_place(FILE *out, const struct symbols_probe *probe)
{
	bool at_return = probe->plan.flags & TP_PLAN_AT_RETURN;

	fputs("      - function: ", out);
	quoted(out, probe->function);
	if (probe->within) {
		fputs("\n        within: ", out);
		quoted(out, probe->within);
	}
	fprintf(out, "\n        address: 0x%llx\n        offset: 0x%llx\n        code: \"",
		(unsigned long long)probe->address, (unsigned long long)probe->offset);
	for (unsigned int i = 0; i < SYMBOLS_CODE; i++)
		fprintf(out, "%02x", probe->code[i]);
	fprintf(out, "\"\n        at: %s\n",
		names_of(names_at, NAMES_AT,
			 at_return	 ? NAMES_AT_RETURN
			 : probe->within ? NAMES_AT_INLINED
					 : NAMES_AT_ENTRY));
	if (probe->plan.every)
		fprintf(out, "        every: %u\n", probe->plan.every);
	if (probe->plan.lasts)
		fprintf(out, "        lasts: %u\n", probe->plan.lasts);
}

static void write_probe(FILE *out, const struct symbols_probe *probe)
{
	const struct tp_plan *plan = &probe->plan;

	write_place(out, probe);
	if (plan->walk.buckets)
		write_walk(out, probe);
	fputs("        fields:\n", out);
	for (int i = 0; i < TP_FIELDS; i++) {
		if (!plan->field[i].read)
			continue;
		fprintf(out, "          %s: {", symbols_field_name(i));
		write_path(out, probe->expression[i], &plan->field[i]);
		fputs("}\n", out);
	}
	write_checks(out, "checks", probe, 0, plan->checks);
	write_checks(out, "each", probe, plan->checks, plan->each);
}

int symbols_write_map(const struct symbols *symbols, FILE *out)
{
	fputs("# SPDX-License-Identifier: GPL-2.0-only\n"
	      "# Where the server's functions and fields are in one build; made by `turnpike "
	      "map`.\n"
	      "server: ",
	      out);
	quoted(out, symbols->server);
	fputs("\nbuild_id: ", out);
	quoted(out, symbols->build_id);
	fputs("\nmade_from: ", out);
	quoted(out, symbols->made_from);
	fputs("\nevents:\n", out);
	for (unsigned int e = 0; e < symbols->events; e++) {
		const struct symbols_event *event = &symbols->event[e];

		fprintf(out, "  - event: %s\n    required: %s\n    probes:%s\n",
			symbols_event_name(event->kind), event->required ? "true" : "false",
			event->probes ? "" : " []");
		for (unsigned int p = 0; p < event->probes; p++)
			write_probe(out, &event->probe[p]);
	}
	return ferror(out) || fflush(out) ? -EIO : 0;
}
