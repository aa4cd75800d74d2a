// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_link.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/fastpath.skel.h"
#include "src/choice.h"
#include "src/engine.h"
#include "src/interfaces.h"
#include "src/log.h"
#include "src/netlink.h"
#include "src/pins.h"
#include "src/status.h"

struct interface *interfaces_find(struct interfaces *interfaces, uint32_t ifindex)
{
	for (size_t i = 0; ifindex && i < interfaces->count; i++)
		if (interfaces->at[i].ifindex == ifindex)
			return &interfaces->at[i];
	return NULL;
}

/* A free place, which counts once it is taken; NULL: there is none. */
static struct interface *interfaces_place(struct interfaces *interfaces)
{
	struct interface *place = interfaces->at;

	if (interfaces->place)
		return interfaces->place;
	while (place < interfaces->at + interfaces->count && place->ifindex)
		place++;
	return place < interfaces->at + INTERFACES ? place : NULL;
}

/* Which of the fast path's ways out it is, and what must be minded there. */
static int interface_device(struct interfaces *interfaces, struct interface *at,
			    const struct netlink_link *link)
{
	uint32_t index = at - interfaces->at;

	at->device = index | (link->veth ? TP_HOP_REDIRECT : 0);
	if (interfaces->hook != HOOK_XDP_GENERIC &&
	    (at->refused || !choice_transmits(interfaces->netlink, link)))
		at->device |= TP_HOP_NO_TRANSMIT;
	return engine_add_device(interfaces->engine, index, at->ifindex);
}

/* Name and id of the program that holds the interface. */
static void interfaces_describe_holder(uint32_t ifindex, char *ret, size_t size)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_prog_info info = {};
	__u32 length = sizeof(info);
	int fd;

	snprintf(ret, size, "another XDP program");
	if (bpf_xdp_query(ifindex, 0, &query) || !query.prog_id)
		return;
	fd = bpf_prog_get_fd_by_id(query.prog_id);
	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &length))
		snprintf(ret, size, "XDP program `%s` (id %u)", info.name, query.prog_id);
	if (fd >= 0)
		close(fd);
}

static const char *interface_pin(const struct interface *at, char *ret)
{
	snprintf(ret, PINS_NAME, "interface-%u", at->ifindex);
	return ret;
}

static bool is_another(const char *name, void *data)
{
	return strcmp(name, data);
}

int interface_keep(const struct engine *engine, const struct interface *at)
{
	char name[PINS_NAME];

	interface_pin(at, name);
	if (at->link.fd >= 0)
		return engine_pin(engine, name, at->link.fd);
	if (engine->pid)
		pins_drop(engine->pid, name, is_another, name);
	return 0;
}

/* An earlier run's link, if it is of the hook that is asked for: our program takes its place. */
static int interface_adopt(struct interfaces *interfaces, struct interface *at)
{
	struct engine *engine = interfaces->engine;
	char name[PINS_NAME];
	int fd = engine->adopted ? pins_get(engine->pid, interface_pin(at, name)) : -ENOENT;
	int err = fd < 0 ? fd : hook_adopt(engine, at->ifindex, fd, &at->hook, &at->link);

	if (!err && interfaces->hook != HOOK_AUTO && interfaces->hook != at->hook)
		err = -EINVAL;
	if (!err) {
		snprintf(at->why, sizeof(at->why), "taken over from an earlier run");
		return 0;
	}
	if (fd >= 0)
		close(fd);
	at->link.fd = -1;
	interface_keep(engine, at);
	return err;
}

static bool interfaces_is_ours(const char *name, void *data)
{
	return interfaces_find(data, strtoul(name + strlen("interface-"), NULL, 10));
}

int interfaces_adopt(struct interfaces *interfaces)
{
	const struct bpf_map *devices = interfaces->engine->fastpath->maps.devices;
	char why[256];
	int err = 0;

	/* In their old places, which hops that are cached know. */
	for (uint32_t i = 0, ifindex; i < TP_DEVICES && err >= 0; i++) {
		if (bpf_map_lookup_elem(bpf_map__fd(devices), &i, &ifindex) || !ifindex)
			continue;
		interfaces->place = &interfaces->at[i];
		err = interfaces_attach(interfaces, ifindex, why, sizeof(why));
	}
	interfaces->place = NULL;
	pins_drop(interfaces->engine->pid, "interface-", interfaces_is_ours, interfaces);
	return err < 0 ? err : 0;
}

static bool interfaces_is_held(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	return !bpf_xdp_query(ifindex, 0, &query) && query.attach_mode != XDP_ATTACHED_NONE;
}

/* Somebody else's XDP program would be the first to see, and to change, what comes in. */
static int interfaces_refuse_holder(const struct netlink_link *link, char *why, size_t size)
{
	char holder[64];

	if (!interfaces_is_held(link->ifindex))
		return 0;
	interfaces_describe_holder(link->ifindex, holder, sizeof(holder));
	snprintf(why, size,
		 "interface %s is held by %s; detach that (`ip link set dev %s "
		 "xdp off`) or leave the interface out with --interface",
		 link->name, holder, link->name);
	return -EBUSY;
}

static enum hook interface_choose(struct interfaces *interfaces, struct interface *at,
				  const struct netlink_link *link)
{
	for (size_t i = 0; i < interfaces->foreseen_count; i++) {
		const struct foreseen *foreseen = &interfaces->foreseen[i];

		if (foreseen->ifindex != link->ifindex)
			continue;
		memcpy(at->why, foreseen->why, sizeof(at->why));
		return foreseen->hook;
	}
	return choice_hook(interfaces->netlink, link, at->why, sizeof(at->why));
}

/* By the hook that is asked for, or that suits it; where native XDP is refused, at TC. */
static int interface_hook(struct interfaces *interfaces, struct interface *at,
			  const struct netlink_link *link)
{
	int err;

	at->hook = interfaces->hook;
	snprintf(at->why, sizeof(at->why), "--hook %s", hook_name(at->hook));
	if (interfaces->hook == HOOK_AUTO)
		at->hook = interface_choose(interfaces, at, link);
	err = hook_attach(interfaces->engine, link->ifindex, at->hook, &at->link);
	if (!err || interfaces->hook != HOOK_AUTO || at->hook == HOOK_TC)
		return err;
	snprintf(at->why, sizeof(at->why), "its driver refuses native XDP: %s", strerror(-err));
	at->hook = HOOK_TC;
	return hook_attach(interfaces->engine, link->ifindex, HOOK_TC, &at->link);
}

static int interface_own(struct interfaces *interfaces, struct interface *at,
			 const struct netlink_link *link, char *why, size_t size)
{
	int err;

	if (!interface_adopt(interfaces, at))
		return 0;
	err = interfaces_refuse_holder(link, why, size);
	if (err)
		return err;
	netlink_sweep_filters(interfaces->netlink, link->ifindex, status_is_served);
	err = interface_hook(interfaces, at, link);
	if (err)
		snprintf(why, size, "interface %s: can't attach %s: %s; try --hook tc%s",
			 link->name, hook_name(at->hook), strerror(-err),
			 at->hook == HOOK_XDP ? ", --hook xdp-generic or a smaller MTU" : "");
	return err;
}

/* The device under a VLAN device, in AT->base, and the tags up to there; false: there is none here.
 */
static bool vlan_tags(struct netlink *netlink, const struct netlink_link *link,
		      struct interface *at)
{
	struct netlink_link under = *link;
	int tags = 0;

	memset(&at->vlan, 0, sizeof(at->vlan));
	while (!strcmp(under.kind, "vlan")) {
		if (tags == TP_VLAN_TAGS || !under.other || under.other_netns >= 0)
			return false;
		if (tags++)
			at->vlan.tag[1] = at->vlan.tag[0];
		at->vlan.tag[0].proto = under.vlan_proto;
		at->vlan.tag[0].tci = htons(under.vlan_id);
		if (netlink_link(netlink, under.other, &under))
			return false;
	}
	at->base = at->vlan.ifindex = under.ifindex;
	return tags > 0;
}

/*
 * A VLAN device's packets come in and leave, tagged, by the interface under it,
 * if that has XDP: a VLAN device itself can't have, nor be redirected to.
 */
static bool interface_carried(struct interfaces *interfaces, struct interface *at,
			      const struct netlink_link *link)
{
	int vlans = bpf_map__fd(interfaces->engine->fastpath->maps.vlans);
	int vlan_of = bpf_map__fd(interfaces->engine->fastpath->maps.vlan_of);
	struct interface *base;
	char why[256];

	if (interfaces->hook == HOOK_TC || !vlan_tags(interfaces->netlink, link, at) ||
	    interfaces_attach(interfaces, at->base, why, sizeof(why)) < 0)
		goto own;
	base = interfaces_find(interfaces, at->base);
	if (!base || base->hook == HOOK_TC ||
	    bpf_map_update_elem(vlan_of, &link->ifindex, &at->vlan, BPF_ANY) ||
	    bpf_map_update_elem(vlans, &at->vlan, &link->ifindex, BPF_ANY))
		goto own;
	at->hook = base->hook;
	at->device = base->device | TP_HOP_TAGGED;
	snprintf(at->why, sizeof(at->why), "its tagged packets are taken at %s", base->name);
	return true;
own:
	at->base = 0;
	return false;
}

/* LINK is known to be an Ethernet device that isn't ours yet. */
static int interfaces_add(struct interfaces *interfaces, const struct netlink_link *link, char *why,
			  size_t size)
{
	struct interface at = {.ifindex = link->ifindex, .link.fd = -1}, *place;
	int err = 0;

	memcpy(at.name, link->name, sizeof(at.name));
	if (!interface_carried(interfaces, &at, link))
		err = interface_own(interfaces, &at, link, why, size);
	if (err)
		return err;
	place = interfaces_place(interfaces); /* the device under it may have taken one */
	if (!place) {
		hook_detach(&at.link);
		snprintf(why, size, "more than %d interfaces; name those to use with --interface",
			 INTERFACES);
		return -E2BIG;
	}
	*place = at;
	if (place >= interfaces->at + interfaces->count)
		interfaces->count = place - interfaces->at + 1;
	if (at.base)
		return 0;
	err = interface_device(interfaces, place, link);
	return err ? err : interface_keep(interfaces->engine, place);
}

int interfaces_attach(struct interfaces *interfaces, uint32_t ifindex, char *why, size_t size)
{
	struct netlink_link link;
	int err;

	if (interfaces_find(interfaces, ifindex))
		return 1;
	err = netlink_link(interfaces->netlink, ifindex, &link);
	if (err) {
		snprintf(why, size, "interface %u: %s", ifindex, strerror(-err));
		return err;
	}
	if (link.loopback || !link.ethernet)
		return 1;
	return interfaces_add(interfaces, &link, why, size);
}

struct cover {
	const struct address *address;
	uint32_t ifindex[INTERFACES];
	size_t count;
};

static void cover_found(uint32_t ifindex, const struct address *address, void *data)
{
	struct cover *cover = data;

	if ((address_is_any(cover->address) || address_equal(cover->address, address)) &&
	    cover->count < INTERFACES)
		cover->ifindex[cover->count++] = ifindex;
}

void interfaces_foresee(struct interfaces *interfaces)
{
	const struct address any = {.family = AF_INET};
	struct cover cover = {.address = &any};
	struct netlink_link link;

	netlink_addresses(interfaces->netlink, cover_found, &cover);
	for (size_t i = 0; i < cover.count; i++) {
		struct foreseen *foreseen = &interfaces->foreseen[interfaces->foreseen_count];

		if (netlink_link(interfaces->netlink, cover.ifindex[i], &link) || link.loopback ||
		    !link.ethernet)
			continue;
		foreseen->hook = choice_hook(interfaces->netlink, &link, foreseen->why,
					     sizeof(foreseen->why));
		foreseen->ifindex = link.ifindex;
		interfaces->foreseen_count++;
	}
}

int interfaces_cover(struct interfaces *interfaces, const struct address *address, char *why,
		     size_t size)
{
	struct cover cover = {.address = address};
	int err;

	if (interfaces->fixed)
		return 0;
	err = netlink_addresses(interfaces->netlink, cover_found, &cover);
	if (err) {
		snprintf(why, size, "can't list addresses: %s", strerror(-err));
		return err;
	}
	for (size_t i = 0; i < cover.count; i++) {
		err = interfaces_attach(interfaces, cover.ifindex[i], why, size);
		if (err < 0)
			return err;
	}
	return 0;
}

int interfaces_named(struct interfaces *interfaces, const char *names, char *why, size_t size)
{
	char *copy = strdup(names), *next = copy, *name;
	uint32_t ifindex;
	int err = copy ? 0 : -ENOMEM;

	while (!err && (name = strsep(&next, ","))) {
		ifindex = if_nametoindex(name);
		if (!ifindex) {
			snprintf(why, size,
				 "no interface `%s` in the server's network namespace; "
				 "`ip link` there lists them",
				 name);
			err = -ENODEV;
			break;
		}
		err = interfaces_attach(interfaces, ifindex, why, size);
		if (err == 1 && !interfaces_find(interfaces, ifindex)) {
			snprintf(why, size, "interface `%s` is no Ethernet device; name another",
				 name);
			err = -EINVAL;
		} else if (err == 1) {
			err = 0;
		}
	}
	free(copy);
	return err;
}

static void interface_forget(struct interfaces *interfaces, struct interface *at)
{
	const struct fastpath_bpf *fastpath = interfaces->engine->fastpath;

	if (at->base) {
		bpf_map_delete_elem(bpf_map__fd(fastpath->maps.vlans), &at->vlan);
		bpf_map_delete_elem(bpf_map__fd(fastpath->maps.vlan_of), &at->ifindex);
	}
	bpf_map_delete_elem(bpf_map__fd(fastpath->maps.device_of), &at->ifindex);
	hook_detach(&at->link);
	interface_keep(interfaces->engine, at);
	memset(at, 0, sizeof(*at));
	at->link.fd = -1;
}

void interfaces_refresh(struct interfaces *interfaces)
{
	struct interface *at, *base;
	struct netlink_link link;

	for (at = interfaces->at; at < interfaces->at + interfaces->count; at++) {
		if (!at->ifindex)
			continue;
		if (netlink_link(interfaces->netlink, at->ifindex, &link)) {
			log_warning("interface %s is gone", at->name);
			interface_forget(interfaces, at);
			continue;
		}
		base = interfaces_find(interfaces, at->base);
		if (base)
			at->device = base->device | TP_HOP_TAGGED;
		else
			interface_device(interfaces, at, &link);
	}
}

void interfaces_free(struct interfaces *interfaces)
{
	while (interfaces->count)
		hook_detach(&interfaces->at[--interfaces->count].link);
}
