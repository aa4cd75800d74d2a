// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can't be known before packets flow: a driver that leaves no room before
 * a frame, a sender that leaves checksums unfinished, a device that redirected
 * frames are lost at. The fast path counts it; here it is acted upon.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "src/engine.h"
#include "src/interfaces.h"
#include "src/log.h"

static const char *const trouble_words[TP_TROUBLES] = {
	[TP_TROUBLE_HEADROOM] = "its driver leaves no room before a frame",
	[TP_TROUBLE_PARTIAL] = "packets come in with unfinished checksums, from a local sender",
	[TP_TROUBLE_EGRESS] = "packets leave by a device that can't transmit XDP frames",
};

/* Packets are looked at twice for a moment, but never not at all. */
static int interface_to_tc(struct interfaces *interfaces, struct interface *at, const char *why)
{
	struct hook_link link;
	int err = hook_attach(interfaces->engine, at->ifindex, HOOK_TC, &link);

	if (err) {
		log_warning(
			"interface %s: can't attach tc: %s; what XDP can't relay stays with the "
			"server",
			at->name, strerror(-err));
		return err;
	}
	hook_detach(&at->link);
	at->link = link;
	at->hook = HOOK_TC;
	interface_keep(interfaces->engine, at);
	snprintf(at->why, sizeof(at->why), "%s", why);
	log_warning("interface %s: from xdp to tc: %s", at->name, why);
	return 0;
}

/* AT and the VLAN devices whose packets it takes. */
static bool trouble_move(struct interfaces *interfaces, struct interface *at, const char *why)
{
	uint32_t base = at->ifindex;

	for (size_t i = 0; i < interfaces->count; i++)
		if (interfaces->at[i].ifindex && interfaces->at[i].base == base &&
		    !interface_to_tc(interfaces, &interfaces->at[i], why))
			interfaces->at[i].base = 0;
	return !interface_to_tc(interfaces, at, why);
}

/* One checksum in 65,536 only looks unfinished. */
#define TROUBLE_BY_CHANCE (65536ULL / 256)

static bool trouble_is_chance(struct interfaces *interfaces, struct interface *at)
{
	__u64 count[TP_COUNTERS], relayed, before = at->relayed_then;

	if (engine_counters(interfaces->engine, count))
		return true;
	relayed = count[TP_FORWARDED_UP] + count[TP_FORWARDED_DOWN] + count[TP_FORWARDED_HAIRPIN];
	at->relayed_then = relayed;
	return relayed - before > TP_TROUBLE_PARTIAL_EVERY * TROUBLE_BY_CHANCE;
}

static bool trouble_at(struct interfaces *interfaces, struct interface *at, __u32 kind)
{
	if (at->hook == HOOK_TC || (at->troubles & 1U << kind && interfaces->hook != HOOK_AUTO))
		return false;
	if (kind == TP_TROUBLE_PARTIAL && trouble_is_chance(interfaces, at))
		return false;
	at->troubles |= 1U << kind;
	if (interfaces->hook == HOOK_AUTO)
		return trouble_move(interfaces, at, trouble_words[kind]);
	log_warning("interface %s: %s; such packets stay with the server; --hook auto or tc relays "
		    "them",
		    at->name, trouble_words[kind]);
	return false;
}

/* A frame that was redirected there is lost. */
static bool trouble_redirect(struct interface *at, int err)
{
	if (err == ENETDOWN || at->refused)
		return false;
	at->refused = true;
	log_warning("interface %s: frames that are redirected to it are lost: %s; no more are",
		    at->name, strerror(err));
	return true;
}

bool interfaces_trouble(struct interfaces *interfaces, const struct tp_notice *notice)
{
	__u32 number = (__u32)notice->handle, kind = notice->direction;
	struct interface *at;

	if (kind == TP_TROUBLE_REDIRECT) {
		at = number < interfaces->count ? &interfaces->at[number] : NULL;
		if (!at || !at->ifindex || !trouble_redirect(at, (int)notice->channel))
			return false;
		interfaces_refresh(interfaces);
		return true;
	}
	at = interfaces_find(interfaces, number);
	return at && kind < TP_TROUBLES && trouble_at(interfaces, at, kind);
}
