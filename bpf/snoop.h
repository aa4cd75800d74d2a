/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel and user space share of snooping: channel bindings that are
 * learned from a server's own packets. Addresses and ports are in network byte
 * order, times in ns of CLOCK_MONOTONIC.
 */
#ifndef TURNPIKE_BPF_SNOOP_H
#define TURNPIKE_BPF_SNOOP_H

#include <linux/bpf.h>
#include "bpf/stun.h"
#include "bpf/table.h"

#define SNOOP_PENDING	8192	/* requests kept at a time; the least recently used go first */
#define SNOOP_SOCKETS	1024	/* listening sockets of all servers */
#define SNOOP_BLIND	4096	/* addresses whose requests could not all be read */
#define SNOOP_SOURCES	4096	/* peers whose route's source address is known */
#define SNOOP_LEARNING	4096	/* channels whose relay is to be learned from data */
#define SNOOP_PRINTS	8192	/* payloads on their way */
#define SNOOP_QUESTIONS 65536	/* bytes of them */
#define SNOOP_RELAY	0x10000 /* in snoop_listeners: no listener, but a relay */
#define SNOOP_ADDRESSES 32	/* of this machine that are looked at */
#define SNOOP_CHANNELS	16	/* to one peer address that are told of a permission */
#define SNOOP_SCRATCH	8	/* packets that one CPU can be reading at a time */
#define SNOOP_AGE_NS	60000000000ULL /* RFC 8489, 6.2.1: a client gives up after 39.5 s */
#define SNOOP_SESSION	(1ULL << 63)   /* in the name of a session that was snooped */

/* Which events are taken from packets; bits of snoop_server.events. */
enum snoop_event {
	SNOOP_COMMIT = 1,
	SNOOP_RETIRE = 2,	   /* by the end of a permission or channel */
	SNOOP_ALLOCATION_GONE = 4, /* by Refresh, or its end */
	SNOOP_SOCKET_CLOSED = 8,
};

/* One server, by its index in tp_config.live. Lifetimes in seconds, never longer than its own. */
struct snoop_server {
	__u32 tgid;
	__u32 events;
	__u32 channel;	       /* that a ChannelBind gives to the channel, */
	__u32 bind_permission; /* and to the peer's permission */
	__u32 permission;      /* that a CreatePermission gives */
	__u32 heartbeat;       /* unused: 0 */
};

/* A client of a server: the 5-tuple of its allocation. */
struct snoop_tuple {
	__u64 client[2];
	__u64 server[2];
	__be16 client_port;
	__be16 server_port;
	__u16 family;
	__u16 index; /* the server's */
};

struct snoop_pending_key {
	struct snoop_tuple tuple;
	__u32 transaction[3];
	__u32 zero;
};

/* What of a request a success response makes true. */
struct snoop_request {
	__u16 type;
	__be16 channel;
	__u8 peers;
	__u8 odd;
	__u8 family;
	__u8 transport;
	__u32 seen;
	__u32 zero;
	struct stun_address peer[STUN_PEERS];
};

struct snoop_pending {
	__u64 asked_ns; /* when it was first seen */
	__u64 seal; /* over key, time and request: the map may reuse an element that is being read
		     */
	__u32 ambiguous; /* another request came with the same transaction id: which was answered?
			  */
	__u32 zero;
	struct snoop_request request;
	char user[TP_USER_LENGTH];
	char realm[TP_REALM_LENGTH];
};

/* An allocation, by its snoop_tuple. A family is that of tp_family. */
struct snoop_allocation {
	__u64 session;
	__u64 expires_ns; /* 0: not known */
	__u32 tgid;
	__u16 index;
	__u8 left;	      /* it stays with the server */
	__u8 wildcard;	      /* bit per family: the relay socket has no address of its own */
	__u32 transaction[3]; /* of the Allocate that made it */
	__u32 zero;
	struct bpf_timer timer;
	struct stun_address relay[2]; /* where its sockets are; family 0: none, or not known */
	char user[TP_USER_LENGTH];
	char realm[TP_REALM_LENGTH];
};

/* A permission: what it leaves of the channels to its peer. */
struct snoop_permission_key {
	__u64 session;
	__u64 peer[2];
	__u32 tgid;
	__u32 family;
};

struct snoop_channel {
	__u64 expires_ns; /* the channel's own end */
	__be16 channel;	  /* 0: none */
	__be16 port;	  /* the peer's */
	__u32 zero;
};

struct snoop_permission {
	__u64 expires_ns;
	struct snoop_channel channel[SNOOP_CHANNELS];
};

struct snoop_permission_entry {
	struct bpf_timer timer;
	struct snoop_permission permission;
};

/* A channel whose relay has to be learned from data. */
struct snoop_learn_key {
	struct snoop_tuple tuple;
	__be16 channel;
	__u16 zero;
	__u32 zero2;
};

struct snoop_learn {
	__u64 session;
	__u64 expires_ns;
	struct stun_address peer;
	struct stun_address candidate; /* by which its data was last seen to leave, */
	__u32 confirmed;	       /* that often in a row */
	__u32 zero;
};

/* User space is asked by which address the machine sends to a peer; and whose channel waits for it.
 */
struct snoop_question {
	struct stun_address peer;
	struct snoop_learn_key who;
};

/* A peer and the port that it sees: that names a channel too. */
struct snoop_path {
	__u64 peer[2];
	__be16 peer_port;
	__be16 relay_port;
	__u32 zero;
};

/* A payload on its way to a peer. */
struct snoop_print {
	__u64 hash;
	__u64 peer[2];
	__be16 port;
	__u16 zero;
	__u32 length;
};

struct snoop_going {
	struct snoop_learn_key who; /* on whose channel it came in */
	__u32 left;		    /* how often it went out; or it came in more than once */
	__u32 zero;
};

/* Marks a relay socket, so that its closing is known. */
struct snoop_socket {
	__u8 local[16];
	__be16 port;
	__u16 zero;
	__u32 tgid;
};

/* What is counted, for status; a memory-mapped array of u64. */
enum snoop_count {
	SNOOP_REQUESTS,	 /* of the four methods that are followed */
	SNOOP_RESPONSES, /* success responses that belong to one */
	SNOOP_UNMATCHED, /* that don't */
	SNOOP_AMBIGUOUS, /* to a transaction id that two different requests had */
	SNOOP_ODD,	 /* requests that could be read in two ways */
	SNOOP_UNREAD,	 /* packets to or from a listener that could not be read */
	SNOOP_FULL,	 /* allocations and permissions that found no room */
	SNOOP_NO_RELAY,	 /* bindings whose relay socket isn't known for sure */
	SNOOP_LEFT,	 /* bindings that stay with the server: mobility, bandwidth limit */
	SNOOP_COMMITS,	 /* by event, as enum snoop_event */
	SNOOP_RETIRES,
	SNOOP_GONES,
	SNOOP_CLOSES,
	SNOOP_COUNTS,
};

_Static_assert(sizeof(struct snoop_server) == 24, "snoop_server layout");
_Static_assert(sizeof(struct snoop_tuple) == 40, "snoop_tuple layout");
_Static_assert(sizeof(struct snoop_pending_key) == 56, "snoop_pending_key layout");
_Static_assert(sizeof(struct snoop_request) == 112, "snoop_request layout");
_Static_assert(sizeof(struct snoop_pending) == 24 + 112 + TP_USER_LENGTH + TP_REALM_LENGTH,
	       "snoop_pending layout");
_Static_assert(sizeof(struct snoop_allocation) == 104 + TP_USER_LENGTH + TP_REALM_LENGTH,
	       "snoop_allocation layout");
_Static_assert(sizeof(struct snoop_permission_key) == 32, "snoop_permission_key layout");
_Static_assert(sizeof(struct snoop_permission) == 8 + 16 * SNOOP_CHANNELS,
	       "snoop_permission layout");
_Static_assert(sizeof(struct snoop_learn_key) == 48, "snoop_learn_key layout");
_Static_assert(sizeof(struct snoop_question) == 72, "snoop_question layout");
_Static_assert(sizeof(struct snoop_path) == 24, "snoop_path layout");
_Static_assert(sizeof(struct snoop_learn) == 72, "snoop_learn layout");
_Static_assert(sizeof(struct snoop_print) == 32, "snoop_print layout");
_Static_assert(sizeof(struct snoop_going) == 56, "snoop_going layout");
_Static_assert(sizeof(struct snoop_socket) == 24, "snoop_socket layout");

#endif
