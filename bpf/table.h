/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The binding table: what observers write, the fast path reads and user space
 * watches. This is the one definition of every struct in the maps.
 *
 * A packet's flow key gives a handle (slot, generation); the slot's record has
 * the keys again, and a sequence lock. A hash element that is reused while it
 * is read can therefore only lead to a record that does not match.
 *
 * Addresses and ports are in network byte order everywhere. An IPv4 address
 * lies in the first four bytes of its 16, the rest is zero.
 */
#ifndef TURNPIKE_BPF_TABLE_H
#define TURNPIKE_BPF_TABLE_H

#ifndef __BPF__
#include <linux/types.h>
#endif

#define TP_MAGIC 0x54503031 /* "TP01": the layout of this file */

#define TP_SERVERS	  16
#define TP_BINDINGS	  65536 /* default of --max-bindings */
#define TP_BINDINGS_MAX	  1048576
#define TP_EVENTS_BYTES	  (1 << 20)
#define TP_USER_LENGTH	  128
#define TP_REALM_LENGTH	  128

enum tp_direction { TP_UP, TP_DOWN, TP_DIRECTIONS }; /* client to peer, peer to client */

/* The four ends of a binding; index of tp_binding.port and .address. */
enum tp_end { TP_CLIENT, TP_SERVER, TP_RELAY, TP_PEER, TP_ENDS };

/* IPv4 flow: channel is 0 for peer to client. */
struct tp_flow4 {
	__be32 source;
	__be32 destination;
	__be16 source_port;
	__be16 destination_port;
	__be16 channel;
	__u16 zero;
};

/* (generation << 32 | slot): what a flow's hash element holds. 0 is no handle. */
typedef __u64 tp_handle;

/* Where a direction's packets leave. `sequence` is odd while it is written. */
struct tp_hop {
	__u32 sequence;
	__u32 generation; /* tp_config.hop_generation when it was looked up; 0: never */
	__u32 binding;	  /* generation of the binding it was looked up for */
	__u32 ifindex;
	__u16 mtu;
	__u8 destination[6];
	__u8 source[6];
	__u16 redirect; /* even to the interface that the packet came in by */
};

/* One direction: a cache line of its own, for it is written while it is used. */
struct tp_leg {
	struct tp_hop hop;
	__u64 packets;
	__u64 bytes; /* UDP payload without the channel header */
	__u64 hop_asked_ns; /* when user space was last asked for the hop */
	__u64 zero;
};

/*
 * One binding, both directions. `sequence` is odd while an observer writes;
 * a record is valid if its generation is the handle's and its epoch its
 * allocation's. The checksum terms are one's complement sums of 16-bit words,
 * folded, ready to be added (RFC 1624).
 */
struct tp_binding {
	__u32 sequence;
	__u32 generation; /* odd: in use; raised by commit and by retire */
	__u32 allocation;
	__u32 epoch;
	__u64 expires_ns; /* CLOCK_MONOTONIC */
	__be16 channel;
	__u8 client_family; /* AF_INET, AF_INET6 */
	__u8 peer_family;
	__u16 server; /* index of tp_config.live */
	__u16 zero;
	__be16 port[TP_ENDS];
	__u16 pseudo[TP_DIRECTIONS]; /* incoming pseudo header without the length */
	__u16 delta[TP_DIRECTIONS];  /* to the incoming UDP checksum, but for lengths */
	__u64 session;
	__u32 tgid;
	__u32 zero2;
	__u8 address[TP_ENDS][16];
	struct tp_leg leg[TP_DIRECTIONS];
};

/* Bumping a family's epoch retires every binding of the allocation that is relayed there. */
enum tp_family { TP_V4, TP_V6, TP_FAMILIES };
struct tp_epochs {
	__u32 epoch[TP_FAMILIES];
};

/* An allocation's own facts; its index is its epochs' index. */
struct tp_allocation {
	__u64 session;
	__u32 tgid;
	__u16 server;
	__u8 in_use;
	__u8 zero;
	char user[TP_USER_LENGTH];
	char realm[TP_REALM_LENGTH];
};

/* How many live bindings have a port as listener or as relay. */
struct tp_port {
	__u32 listener;
	__u32 relay;
};

/* Identities: servers reuse memory at once, so nothing is known by address. */
struct tp_session_key {
	__u64 session;
	__u32 tgid;
	__u32 channel; /* 0: the session itself */
};

/* A relay socket (remote all zero) or a client's socket. */
struct tp_socket_key {
	__u8 local[16];
	__u8 remote[16];
	__be16 local_port;
	__be16 remote_port;
	__u32 tgid;
};

struct tp_socket {
	__u32 allocation;
	__u32 families; /* bit per tp_family that ends with it */
	__u64 session;
};

struct tp_config {
	__u32 magic;
	__u32 hop_generation; /* raised when routes, links, addresses or neighbours change; never 0 */
	__u32 live[TP_SERVERS]; /* process ids; 0 stops forwarding for that server */
};

/* How many slots of bindings and of allocations were ever used; may run past the limit. */
struct tp_taken {
	__u32 bindings;
	__u32 allocations;
};

/* An interface that packets may leave by: it runs our program. */
struct tp_device {
	__u8 usable;
	__u8 redirect; /* see tp_hop.redirect */
	__u16 mtu;
};

/* Every reason why a packet is passed, or what else is counted; a per-CPU array of u64. */
enum tp_counter {
	TP_FORWARDED_UP,
	TP_FORWARDED_DOWN,
	TP_FORWARDED_HAIRPIN,
	TP_PASSED_NO_BINDING,
	TP_PASSED_CONTROL, /* STUN, and what else on a listener is no channel data */
	TP_PASSED_FRAGMENT,
	TP_PASSED_IP_OPTIONS,
	TP_PASSED_LENGTH,
	TP_PASSED_CHECKSUM, /* none, partial, or an IPv4 header's that is wrong */
	TP_PASSED_TTL,
	TP_PASSED_MTU,
	TP_PASSED_NO_ROUTE,
	TP_PASSED_NO_NEIGHBOUR,
	TP_PASSED_HEARTBEAT,
	TP_PASSED_EXPIRED,
	TP_PASSED_HEADROOM,
	TP_DROPPED_POLICED,
	TP_ERROR_REDIRECT,
	TP_ERROR_TABLE_FULL,
	TP_ERROR_LOST_EVENTS,
	TP_ERROR_FAILED_READS,
	TP_REFUSED_TRANSPORT,
	TP_REFUSED_MOBILITY,
	TP_REFUSED_LIMIT,
	TP_REFUSED_STATE,
	TP_REFUSED_ADDRESS, /* wildcard, loopback or a family that isn't relayed yet */
	TP_COUNTERS,
};

/* What user space is told by ring buffer, for its log and for next hops. */
enum tp_notice_kind {
	TP_NOTICE_COMMIT,
	TP_NOTICE_REFRESH,
	TP_NOTICE_RETIRE,
	TP_NOTICE_ALLOCATION_GONE,
	TP_NOTICE_SOCKET_CLOSED,
	TP_NOTICE_SERVER_GONE,
	TP_NOTICE_TABLE_FULL,
	TP_NOTICE_HOP, /* a direction of a binding needs its next hop */
};

struct tp_notice {
	__u32 kind;
	__u32 tgid;
	__u64 session;
	tp_handle handle;
	__u32 channel;
	__u32 direction;
};

_Static_assert(sizeof(struct tp_flow4) == 16, "tp_flow4 layout");
_Static_assert(sizeof(struct tp_hop) == 32, "tp_hop layout");
_Static_assert(sizeof(struct tp_leg) == 64, "tp_leg layout");
_Static_assert(sizeof(struct tp_binding) == 256, "tp_binding layout");
_Static_assert(sizeof(struct tp_allocation) == 16 + TP_USER_LENGTH + TP_REALM_LENGTH,
	       "tp_allocation layout");
_Static_assert(sizeof(struct tp_session_key) == 16, "tp_session_key layout");
_Static_assert(sizeof(struct tp_socket_key) == 40, "tp_socket_key layout");
_Static_assert(sizeof(struct tp_socket) == 16, "tp_socket layout");
_Static_assert(sizeof(struct tp_notice) == 32, "tp_notice layout");

#endif
