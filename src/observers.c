// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include "bpf/snoop.h"
#include "src/observers.h"
#include "symbols/symbols.h"

static const struct {
	enum tp_event_kind kind;
	unsigned int bit; /* enum snoop_event */
} observed[OBSERVERS] = {
	{TP_EVENT_COMMIT, SNOOP_COMMIT},
	{TP_EVENT_RETIRE, SNOOP_RETIRE},
	{TP_EVENT_ALLOCATION_GONE, SNOOP_ALLOCATION_GONE},
	{TP_EVENT_SOCKET_CLOSED, SNOOP_SOCKET_CLOSED},
};

static const struct symbols_event *event_of(const struct symbols *symbols, enum tp_event_kind kind)
{
	for (unsigned int i = 0; symbols && i < symbols->events; i++)
		if (symbols->event[i].kind == kind)
			return &symbols->event[i];
	return NULL;
}

/* What is snooped has no name that the server's functions know, so neither do they end it. */
static bool is_named_by_commit(enum tp_event_kind kind)
{
	return kind == TP_EVENT_RETIRE || kind == TP_EVENT_ALLOCATION_GONE;
}

static void observer_choose(struct observer *observer, enum observers_mode mode,
			    const struct symbols *symbols, const char *without, bool commit_snooped)
{
	const struct symbols_event *event = event_of(symbols, observer->kind);

	if (mode == OBSERVE_SNOOP)
		snprintf(observer->why, OBSERVERS_WHY, "--mode snoop");
	else if (!symbols)
		snprintf(observer->why, OBSERVERS_WHY, "%s", without);
	else if (!event)
		snprintf(observer->why, OBSERVERS_WHY, "the profile names no function for it");
	else
		snprintf(observer->why, OBSERVERS_WHY, "%s", event->why ? event->why : "");
	observer->snooped =
		mode == OBSERVE_SNOOP || (mode == OBSERVE_AUTO && (!event || !event->probes));
	if (observer->snooped || !commit_snooped || !is_named_by_commit(observer->kind))
		return;
	observer->snooped = true;
	snprintf(observer->why, OBSERVERS_WHY,
		 "commit is snooped, and packets don't name sessions as the server does");
}

void observers_choose(enum observers_mode mode, const struct symbols *symbols, const char *without,
		      struct observers *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (int i = 0; i < OBSERVERS; i++) {
		ret->at[i].kind = observed[i].kind;
		observer_choose(&ret->at[i], mode, symbols, without, ret->snooped & SNOOP_COMMIT);
		if (ret->at[i].snooped)
			ret->snooped |= observed[i].bit;
	}
}

const struct observer *observers_of(const struct observers *observers, enum tp_event_kind kind)
{
	for (int i = 0; i < OBSERVERS; i++)
		if (observers->at[i].kind == kind)
			return &observers->at[i];
	return NULL;
}

bool observers_probes(const struct observers *observers, enum tp_event_kind kind)
{
	const struct observer *observer = observers_of(observers, kind);

	if (observer && observer->snooped)
		return false;
	/* Nothing else may commit beside it. */
	return kind == TP_EVENT_SOCKET_CLOSED || !(observers->snooped & SNOOP_COMMIT);
}
