/* SPDX-License-Identifier: GPL-2.0-only */
/* The interfaces that the fast path is attached to, and by which hook. */
#ifndef TURNPIKE_SRC_INTERFACES_H
#define TURNPIKE_SRC_INTERFACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <net/if.h>
#include "bpf/table.h"
#include "src/hook.h"

#define INTERFACES    TP_DEVICES
#define INTERFACE_WHY 160

struct address;
struct engine;
struct netlink;
struct netlink_link;

struct interface {
	uint32_t ifindex; /* 0: a free place */
	char name[IFNAMSIZ];
	enum hook hook;
	char why[INTERFACE_WHY]; /* that one */
	uint16_t device;	 /* tp_hop.device */
	struct hook_link link;
	/*
	 * A VLAN device whose tagged packets the program of the interface under it
	 * takes has none of its own; this is that interface's index, else 0.
	 */
	uint32_t base;
	struct tp_vlan vlan;   /* its tags, outermost first */
	bool said;	       /* it was logged how it is attached */
	bool refused;	       /* frames that were redirected to it were lost */
	uint32_t troubles;     /* what was met there: bit per enum tp_trouble */
	uint64_t relayed_then; /* packets, when unfinished checksums were last counted */
};

/* What suits an interface, found while its peer's namespace may still be looked into. */
struct foreseen {
	uint32_t ifindex;
	enum hook hook;
	char why[INTERFACE_WHY];
};

struct interfaces {
	struct engine *engine;
	struct netlink *netlink;
	enum hook hook; /* --hook */
	bool fixed;	/* --interface: no others are added */
	struct interface at[INTERFACES];
	struct foreseen foreseen[INTERFACES];
	size_t foreseen_count;
	size_t count;		 /* places that are or were in use */
	struct interface *place; /* where the next is to be; NULL: anywhere */
};

/*
 * Attaches to one interface by the hook that suits it. 1: it is attached already,
 * or is no Ethernet device (loopback). Says in WHY what failed.
 */
int interfaces_attach(struct interfaces *interfaces, uint32_t ifindex, char *why, size_t size);

/*
 * Finds out what suits each interface that has an address, before privileges are given up:
 * the one that peers are behind may be attached to only later.
 */
void interfaces_foresee(struct interfaces *interfaces);

/* Those of an earlier run that the engine has adopted, without a packet lost between. */
int interfaces_adopt(struct interfaces *interfaces);

/* Those of an earlier run that the engine has adopted, without a packet lost between. */
int interfaces_adopt(struct interfaces *interfaces);

/* Lets what is attached there outlive the process, if the engine's maps do. */
int interface_keep(const struct engine *engine, const struct interface *at);

/* Attaches to the interface that has ADDRESS, for a wildcard to all that have any. */
int interfaces_cover(struct interfaces *interfaces, const struct address *address, char *why,
		     size_t size);

/* From --interface: comma-separated names. */
int interfaces_named(struct interfaces *interfaces, const char *names, char *why, size_t size);

/* The attached interface of that index, or NULL. */
struct interface *interfaces_find(struct interfaces *interfaces, uint32_t ifindex);

/* Links have changed: what is gone is forgotten, what can or can't be redirected to is known. */
void interfaces_refresh(struct interfaces *interfaces);

/*
 * What the fast path met at one: moves it to TC, if --hook leaves the choice; else
 * says what is lost by that. True if anything is different now.
 */
bool interfaces_trouble(struct interfaces *interfaces, const struct tp_notice *notice);

void interfaces_free(struct interfaces *interfaces);

#endif
