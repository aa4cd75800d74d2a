/* SPDX-License-Identifier: GPL-2.0-only */
/* The interfaces that the fast path is attached to. */
#ifndef TURNPIKE_SRC_INTERFACES_H
#define TURNPIKE_SRC_INTERFACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <net/if.h>
#include "bpf/table.h"

#define INTERFACES TP_DEVICES

struct address;
struct engine;
struct netlink;

struct interface {
	uint32_t ifindex;
	char name[IFNAMSIZ];
	const char *hook; /* "xdp" or "xdp-generic" */
	uint16_t device;  /* tp_hop.device */
	int link;	  /* BPF link: closing it detaches */
};

struct interfaces {
	struct engine *engine;
	struct netlink *netlink;
	bool generic_only; /* --hook xdp-generic */
	bool native_only;  /* --hook xdp */
	bool fixed;	   /* --interface: no others are added */
	struct interface at[INTERFACES];
	size_t count;
};

/*
 * Attaches to one interface, native where the driver can, else generic. 1: it
 * is attached already, or is no Ethernet device (loopback). Says in WHY what failed.
 */
int interfaces_attach(struct interfaces *interfaces, uint32_t ifindex, char *why, size_t size);

/* Those of an earlier run that the engine has adopted, without a packet lost between. */
int interfaces_adopt(struct interfaces *interfaces);

/* Attaches to the interface that has ADDRESS, for a wildcard to all that have any. */
int interfaces_cover(struct interfaces *interfaces, const struct address *address, char *why,
		     size_t size);

/* From --interface: comma-separated names. */
int interfaces_named(struct interfaces *interfaces, const char *names, char *why, size_t size);

/* tp_hop.device of an attached interface. */
uint16_t interfaces_device(const struct interfaces *interfaces, uint32_t ifindex);

bool interfaces_is_attached(const struct interfaces *interfaces, uint32_t ifindex);

void interfaces_free(struct interfaces *interfaces);

#endif
