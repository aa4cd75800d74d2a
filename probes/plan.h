/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A plan tells the probe program how to fetch an event's fields from registers
 * and from the server's memory. User space resolves plans (symbols/), the
 * kernel follows them (probes/uprobe.bpf.c); both include this file.
 *
 * Every field has a fixed place in the plan, so that the probe program needs
 * no loop over fields and writes to constant stack offsets only.
 */
#ifndef TURNPIKE_PROBES_PLAN_H
#define TURNPIKE_PROBES_PLAN_H

#ifndef __BPF__
#include <linux/types.h>
#endif

enum tp_event_kind {
	TP_EVENT_NONE,
	TP_EVENT_COMMIT,	  /* channel bound or refreshed */
	TP_EVENT_RETIRE,	  /* one channel deleted */
	TP_EVENT_ALLOCATION_GONE, /* a session's allocation cleared */
	TP_EVENT_SOCKET_CLOSED,	  /* client or relay socket closed or detached */
	TP_EVENT_SERVER_GONE,	  /* the process ended */
	TP_EVENT_LEARN,		  /* a channel that was bound earlier, and is seen now */
	TP_EVENT_PERMISSION,	  /* a permission's end changes, and so its channels' */
	TP_EVENT_KINDS,
};

enum tp_field_id {
	TP_FIELD_SESSION,	     /* u64: unique among the server's live sessions */
	TP_FIELD_CHANNEL,	     /* u16, host order */
	TP_FIELD_CLIENT,	     /* sockaddr: client transport address */
	TP_FIELD_SERVER,	     /* sockaddr: server transport address */
	TP_FIELD_RELAY_V4,	     /* sockaddr: relayed transport address, IPv4 */
	TP_FIELD_RELAY_V6,	     /* sockaddr: relayed transport address, IPv6 */
	TP_FIELD_PEER,		     /* sockaddr: peer transport address */
	TP_FIELD_EXPIRES,	     /* u32: channel's end, seconds of the server's clock */
	TP_FIELD_PERMISSION_EXPIRES, /* u32: its permission's end, same clock */
	TP_FIELD_NOW,		     /* u32: the server's clock, seconds */
	TP_FIELD_LIMIT,		     /* u64: bandwidth limit in bytes a second, 0 = none */
	TP_FIELD_USER,		     /* string */
	TP_FIELD_REALM,		     /* string */
	TP_FIELD_LOCAL,		     /* sockaddr: a socket's own address */
	TP_FIELD_REMOTE,	     /* sockaddr: a socket's remote address */
	TP_FIELD_LIFETIME,	     /* u32: channel's end, in seconds from now */
	TP_FIELDS,
};

enum tp_read {
	TP_READ_NONE, /* the field is not in this plan */
	TP_READ_U8,
	TP_READ_U16,
	TP_READ_U32,
	TP_READ_U64,
	TP_READ_SOCKADDR, /* struct sockaddr_in or sockaddr_in6, by its family */
	TP_READ_STRING,	  /* NUL-terminated, at most `size` bytes */
};

/*
 * What a path begins with. Registers beyond the arguments are for probes inside a
 * function, where an inlined one begins: their number here less TP_BASE_REGISTERS is
 * their place in struct pt_regs, in words.
 */
enum tp_base {
	TP_BASE_ARG0,	    /* argument registers at the function's entry; */
	TP_BASE_ARG5 = 5,   /* saved there for plans that run at return */
	TP_BASE_RETURN = 6, /* return value, at return only */
	TP_BASE_EACH = 7,   /* the address of a walk's element, see tp_walk */
	TP_BASE_REGISTERS = 8,
	TP_BASE_R15 = 8,
	TP_BASE_R14,
	TP_BASE_R13,
	TP_BASE_R12,
	TP_BASE_RBP,
	TP_BASE_RBX,
	TP_BASE_R11,
	TP_BASE_R10,
	TP_BASE_R9,
	TP_BASE_R8,
	TP_BASE_RAX,
	TP_BASE_RCX,
	TP_BASE_RDX,
	TP_BASE_RSI,
	TP_BASE_RDI,
	TP_BASE_RSP = TP_BASE_REGISTERS + 19,
	TP_BASES,
};

#define TP_PATH_OFFSETS 8

/*
 * Where a value is: begin with the base register; add offset[0]; for every
 * further offset dereference (8 bytes) and add it. The value lies there.
 * With count 0 the register itself is the value.
 * A NULL pointer on the way: the field is absent, no error.
 */
struct tp_path {
	__u8 base;  /* enum tp_base */
	__u8 count; /* of offsets, 0 to TP_PATH_OFFSETS */
	__u8 read;  /* enum tp_read */
	__u8 size;  /* string: bytes to read at most; else 0 */
	__s32 offset[TP_PATH_OFFSETS];
};

enum tp_compare { TP_EQ, TP_NE, TP_LT, TP_GT };

/* Why a commit is left to the server although it succeeded. */
enum tp_refusal {
	TP_REFUSE_NONE,	     /* plainly not this event: nothing is counted */
	TP_REFUSE_TRANSPORT, /* TCP, TLS, DTLS client or TCP relay */
	TP_REFUSE_MOBILITY,  /* RFC 8016 session */
	TP_REFUSE_LIMIT,     /* bandwidth limit */
	TP_REFUSE_STATE,     /* session going away, socket not ready */
	TP_REFUSALS,
};

/* The event is taken only if `path compare value` holds for every check. */
struct tp_check {
	struct tp_path path;
	struct tp_path other; /* if it is read, compared with instead of value */
	__u32 compare;	      /* enum tp_compare, unsigned comparison */
	__u32 refusal;	      /* enum tp_refusal, counted when the check fails */
	__u64 value;
};

#define TP_PLAN_CHECKS 10

/*
 * A plan with a walk runs once for each element of a table in the server's memory: a hash
 * table's buckets in an array, each with some slots and a pointer to an array of pointers
 * to more. Fields and checks that begin with TP_BASE_EACH are the element's.
 */
struct tp_walk {
	struct tp_path table; /* leads to the first bucket */
	__u32 buckets;	      /* 0: no walk */
	__u32 bucket_size;
	__u32 slots; /* in a bucket */
	__u32 slot_size;
	__u32 slot;	  /* offset of the first, in a bucket */
	__u32 more;	  /* offset of the pointer */
	__u32 more_count; /* offset of their number: 8 bytes; at most TP_WALK_ROWS are looked at */
};

#define TP_WALK_ROWS 512 /* slots and further elements of a bucket together */

enum tp_plan_flags {
	TP_PLAN_AT_RETURN = 1, /* arguments saved at entry, run at return */
};

struct tp_plan {
	__u32 kind;   /* enum tp_event_kind */
	__u32 flags;  /* enum tp_plan_flags */
	__u32 server; /* index of the server, filled in when attaching */
	__u32 tgid;   /* its process id as the kernel sees it, likewise */
	__u32 checks; /* how many of check[] are used, before any walk */
	__u32 each;   /* how many further ones, for each element */
	__u32 every;  /* a walk: seconds that a session is left alone after it; 0: none */
	__u32 lasts;  /* seconds after which user space detaches the probe; 0: it stays */
	struct tp_walk walk;
	struct tp_path field[TP_FIELDS];
	struct tp_check check[TP_PLAN_CHECKS];
};

_Static_assert(sizeof(struct tp_path) == 36, "tp_path layout");
_Static_assert(sizeof(struct tp_check) == 88, "tp_check layout");
_Static_assert(sizeof(struct tp_walk) == 64, "tp_walk layout");
_Static_assert(sizeof(struct tp_plan) == 32 + 64 + 36 * TP_FIELDS + 88 * TP_PLAN_CHECKS,
	       "tp_plan layout");

#endif
