// SPDX-License-Identifier: GPL-2.0-only
/* The `top` command: bindings by rate, again and again. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "src/ask.h"
#include "src/commands.h"
#include "src/log.h"
#include "src/options.h"

struct top {
	long interval, count; /* seconds; how often, 0: until it is ended */
	long lines;
};

/* What a binding has relayed, and since when; the array is sorted by its key. */
struct flow {
	char key[160];
	const cJSON *binding;
	double up, down, up_bytes, down_bytes; /* in all */
	double rate_up, rate_down, bits;       /* a second, since it was looked at before */
};

struct flows {
	struct flow *flow;
	size_t count;
	double at; /* seconds */
};

static int by_key(const void *one, const void *other)
{
	return strcmp(((const struct flow *)one)->key, ((const struct flow *)other)->key);
}

static int by_rate(const void *one, const void *other)
{
	double a = ((const struct flow *)one)->bits, b = ((const struct flow *)other)->bits;

	return a < b ? 1 : a > b ? -1 : by_key(one, other);
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void flow_read(struct flow *flow, const cJSON *binding, double pid)
{
	const cJSON *up = cJSON_GetObjectItem(binding, "upstream");
	const cJSON *down = cJSON_GetObjectItem(binding, "downstream");

	snprintf(flow->key, sizeof(flow->key), "%.0f %s %.0f %s", pid,
		 ask_string(binding, "client"), ask_number(binding, "channel"),
		 ask_string(binding, "relay"));
	flow->binding = binding;
	flow->up = ask_number(up, "packets");
	flow->down = ask_number(down, "packets");
	flow->up_bytes = ask_number(up, "bytes");
	flow->down_bytes = ask_number(down, "bytes");
}

static struct flows flows_of(const cJSON *servers)
{
	struct flows flows = {.at = seconds_now()};
	const cJSON *server, *binding;
	size_t size = 0;

	cJSON_ArrayForEach(server, servers) size +=
		cJSON_GetArraySize(cJSON_GetObjectItem(server, "bindings"));
	flows.flow = calloc(size + 1, sizeof(*flows.flow));
	if (!flows.flow)
		return flows;
	cJSON_ArrayForEach(server, servers)
	{
		cJSON_ArrayForEach(binding, cJSON_GetObjectItem(server, "bindings"))
			flow_read(&flows.flow[flows.count++], binding, ask_number(server, "pid"));
	}
	qsort(flows.flow, flows.count, sizeof(*flows.flow), by_key);
	return flows;
}

/* A binding that is new has its rate the next time. */
static void flows_rate(struct flows *now, const struct flows *before)
{
	double seconds = now->at - before->at;

	for (size_t i = 0; i < now->count; i++) {
		struct flow *flow = &now->flow[i], *old;

		old = before->count
			      ? bsearch(flow, before->flow, before->count, sizeof(*flow), by_key)
			      : NULL;
		if (!old || seconds <= 0 || flow->up < old->up || flow->down < old->down)
			continue;
		flow->rate_up = (flow->up - old->up) / seconds;
		flow->rate_down = (flow->down - old->down) / seconds;
		flow->bits = 8 *
			     (flow->up_bytes - old->up_bytes + flow->down_bytes - old->down_bytes) /
			     seconds;
	}
}

static void top_show(const struct top *top, struct flows *flows, size_t servers)
{
	double up = 0, down = 0, bits = 0;
	const struct flow *flow;

	for (size_t i = 0; i < flows->count; i++) {
		up += flows->flow[i].rate_up;
		down += flows->flow[i].rate_down;
		bits += flows->flow[i].bits;
	}
	if (isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	printf("%zu servers, %zu bindings, %.0f packets/s up, %.0f down, %.2f Mbit/s relayed\n\n",
	       servers, flows->count, up, down, bits / 1e6);
	printf("%-22s %-8s%-22s %-22s %10s%10s%10s  %s\n", "client", "channel", "relay", "peer",
	       "up/s", "down/s", "Mbit/s", "user");
	for (size_t i = 0; i < flows->count && i < (size_t)top->lines; i++) {
		flow = &flows->flow[i];
		printf("%-22s 0x%-6x%-22s %-22s %10.0f%10.0f%10.3f  %s@%s\n",
		       ask_string(flow->binding, "client"),
		       (unsigned int)ask_number(flow->binding, "channel"),
		       ask_string(flow->binding, "relay"), ask_string(flow->binding, "peer"),
		       flow->rate_up, flow->rate_down, flow->bits / 1e6,
		       ask_string(flow->binding, "user"), ask_string(flow->binding, "realm"));
	}
	fflush(stdout);
}

enum { OPTION_COUNT = 'c', OPTION_INTERVAL = 'i', OPTION_LINES = 'l' };

static const struct argp_option top_options[] = {
	{"interval", OPTION_INTERVAL, "SECONDS", 0, "1 to 3600 (default: 2)", 0},
	{"count", OPTION_COUNT, "N", 0, "show so often, then end (default: until Ctrl-C)", 0},
	{"lines", OPTION_LINES, "N", 0, "bindings at most, 1 to 10000 (default: 20)", 0},
	{},
};

static error_t top_parse(int key, char *argument, struct argp_state *state)
{
	struct top *top = state->input;

	switch (key) {
	case OPTION_INTERVAL:
		top->interval = options_number("--interval", argument, 3600);
		return top->interval ? 0 : OPTIONS_SAID;
	case OPTION_COUNT:
		top->count = options_number("--count", argument, 1000000);
		return top->count ? 0 : OPTIONS_SAID;
	case OPTION_LINES:
		top->lines = options_number("--lines", argument, 10000);
		return top->lines ? 0 : OPTIONS_SAID;
	case ARGP_KEY_ARG:
		return options_error("unexpected argument `%s`", argument);
	}
	return ARGP_ERR_UNKNOWN;
}

int top_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = top_options,
		.parser = top_parse,
		.doc = "Shows live which bindings relay most.",
	};
	struct top top = {.interval = 2, .lines = 20};
	struct flows before = {}, now;
	cJSON *kept = NULL, *servers;
	int err = 0;

	if (!options_parse(&argp, argc, argv, &top))
		return EXIT_USAGE;
	for (long shown = 0; !err && (!top.count || shown <= top.count); shown++) {
		servers = cJSON_CreateArray();
		err = ask_all(servers);
		now = flows_of(servers);
		flows_rate(&now, &before);
		free(before.flow);
		before = now;
		now.flow = calloc(now.count + 1, sizeof(*now.flow));
		if (now.flow && before.flow)
			memcpy(now.flow, before.flow, now.count * sizeof(*now.flow));
		/* Rates take two looks: the first is shown by the second. */
		if (shown && now.flow) {
			qsort(now.flow, now.count, sizeof(*now.flow), by_rate);
			top_show(&top, &now, cJSON_GetArraySize(servers));
		}
		free(now.flow);
		cJSON_Delete(kept);
		kept = servers;
		if (!err && (!top.count || shown < top.count))
			poll(NULL, 0, (int)(top.interval * 1000));
	}
	free(before.flow);
	cJSON_Delete(kept);
	if (err)
		log_error("can't read what runs: %s; run as root", strerror(-err));
	return err ? EXIT_FAILED : EXIT_DONE;
}
