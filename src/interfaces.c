// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_link.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/fastpath.skel.h"
#include "src/engine.h"
#include "src/interfaces.h"
#include "src/log.h"
#include "src/netlink.h"
#include "src/pins.h"

bool interfaces_is_attached(const struct interfaces *interfaces, uint32_t ifindex)
{
	for (size_t i = 0; i < interfaces->count; i++)
		if (interfaces->at[i].ifindex == ifindex)
			return true;
	return false;
}

uint16_t interfaces_device(const struct interfaces *interfaces, uint32_t ifindex)
{
	for (size_t i = 0; i < interfaces->count; i++)
		if (interfaces->at[i].ifindex == ifindex)
			return interfaces->at[i].device;
	return 0;
}

/* Packets may leave by it from now on. */
static int interfaces_usable(struct interfaces *interfaces, struct interface *at,
			     const struct netlink_link *link)
{
	const struct bpf_map *devices = interfaces->engine->fastpath->maps.devices;
	const struct bpf_map *device_of = interfaces->engine->fastpath->maps.device_of;
	uint32_t index = at - interfaces->at;
	struct tp_device device = {.mtu = link->mtu};

	at->device = index | (link->veth ? TP_HOP_REDIRECT : 0);
	device.device = at->device;
	if (bpf_map_update_elem(bpf_map__fd(devices), &index, &at->ifindex, BPF_ANY) ||
	    bpf_map_update_elem(bpf_map__fd(device_of), &at->ifindex, &device, BPF_ANY))
		return -errno;
	return 0;
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

static const char *interfaces_pin(uint32_t ifindex, char *ret)
{
	snprintf(ret, PINS_NAME, "interface-%u", ifindex);
	return ret;
}

/* An earlier run's link: our program takes the place of the one that is there, in one step. */
static int interfaces_adopt_link(struct interfaces *interfaces, uint32_t ifindex, int program,
				 const char **ret_hook)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	char name[PINS_NAME];
	int fd = interfaces->engine->adopted
			 ? pins_get(interfaces->engine->pid, interfaces_pin(ifindex, name))
			 : -ENOENT;

	if (fd >= 0 && bpf_link_update(fd, program, NULL)) {
		close(fd);
		fd = -EOPNOTSUPP;
	}
	if (fd >= 0 && !bpf_xdp_query(ifindex, 0, &query))
		*ret_hook = query.attach_mode == XDP_ATTACHED_SKB ? "xdp-generic" : "xdp";
	return fd;
}

static bool interfaces_is_ours(const char *name, void *data)
{
	return interfaces_is_attached(data, strtoul(name + strlen("interface-"), NULL, 10));
}

int interfaces_adopt(struct interfaces *interfaces)
{
	const struct bpf_map *devices = interfaces->engine->fastpath->maps.devices;
	char why[256];
	int err = 0;

	/* In their old order: hops that are cached have their places in it. */
	for (uint32_t i = 0, ifindex; i < TP_DEVICES && err >= 0; i++)
		if (!bpf_map_lookup_elem(bpf_map__fd(devices), &i, &ifindex) && ifindex)
			err = interfaces_attach(interfaces, ifindex, why, sizeof(why));
	pins_drop(interfaces->engine->pid, "interface-", interfaces_is_ours, interfaces);
	return err < 0 ? err : 0;
}

/* Native first; then generic, which every device can. */
static int interfaces_link(struct interfaces *interfaces, uint32_t ifindex, const char **ret_hook)
{
	int program = bpf_program__fd(interfaces->engine->fastpath->progs.turnpike_xdp);
	LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);
	LIBBPF_OPTS(bpf_link_create_opts, generic, .flags = XDP_FLAGS_SKB_MODE);
	int fd = interfaces_adopt_link(interfaces, ifindex, program, ret_hook);

	if (fd >= 0)
		return fd;
	*ret_hook = "xdp";
	if (!interfaces->generic_only)
		fd = bpf_link_create(program, ifindex, BPF_XDP, &native);
	if (fd < 0 && fd != -EBUSY && fd != -EEXIST && !interfaces->native_only) {
		*ret_hook = "xdp-generic";
		fd = bpf_link_create(program, ifindex, BPF_XDP, &generic);
	}
	return fd;
}

int interfaces_attach(struct interfaces *interfaces, uint32_t ifindex, char *why, size_t size)
{
	struct interface *at = &interfaces->at[interfaces->count];
	struct netlink_link link;
	char holder[PINS_NAME];
	int err;

	if (interfaces_is_attached(interfaces, ifindex))
		return 1;
	err = netlink_link(interfaces->netlink, ifindex, &link);
	if (err) {
		snprintf(why, size, "interface %u: %s", ifindex, strerror(-err));
		return err;
	}
	if (link.loopback || !link.ethernet)
		return 1;
	if (interfaces->count == INTERFACES) {
		snprintf(why, size, "more than %d interfaces; name those to use with --interface",
			 INTERFACES);
		return -E2BIG;
	}
	err = interfaces_link(interfaces, ifindex, &at->hook);
	if (err == -EBUSY || err == -EEXIST) {
		interfaces_describe_holder(ifindex, holder, sizeof(holder));
		snprintf(why, size,
			 "interface %s is held by %s; detach that (`ip link set dev %s "
			 "xdp off`) or leave the interface out with --interface",
			 link.name, holder, link.name);
		return -EBUSY;
	}
	if (err < 0) {
		snprintf(why, size,
			 "interface %s: can't attach XDP: %s; try --hook xdp-generic, "
			 "or a smaller MTU",
			 link.name, strerror(-err));
		return err;
	}
	at->link = err;
	at->ifindex = ifindex;
	memcpy(at->name, link.name, sizeof(at->name));
	interfaces->count++;
	err = engine_pin(interfaces->engine, interfaces_pin(ifindex, holder), at->link);
	return err ? err : interfaces_usable(interfaces, at, &link);
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
		if (err == 1 && !interfaces_is_attached(interfaces, ifindex)) {
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

void interfaces_free(struct interfaces *interfaces)
{
	while (interfaces->count)
		close(interfaces->at[--interfaces->count].link);
}
