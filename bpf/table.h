/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The binding table: what observers write, the fast path reads and user space
 * watches. This is the one definition of every struct in the maps.
 *
 * A packet's flow leads to a slot; the slot's record has the flow's key, and a
 * sequence lock. An index entry that is reused while it is read can therefore
 * only lead to a record that does not match.
 *
 * Addresses and ports are in network byte order everywhere. An IPv4 address
 * lies in the first four bytes of its 16, the rest is zero.
 */
#ifndef TURNPIKE_BPF_TABLE_H
#define TURNPIKE_BPF_TABLE_H

#ifndef __BPF__
#include <linux/types.h>
#endif

#define TP_MAGIC	0x54503032 /* "TP02": the layout of this file */

#define TP_SERVERS	16
#define TP_BINDINGS	65536	/* default of --max-bindings */
#define TP_BINDINGS_MAX 1000000 /* a slot's number has TP_SLOT_BITS */
#define TP_SLOT_BITS	20
#define TP_EVENTS_BYTES (1 << 20)
#define TP_USER_LENGTH	128
#define TP_REALM_LENGTH 128

enum tp_direction { TP_UP, TP_DOWN, TP_DIRECTIONS }; /* client to peer, peer to client */

/* The four ends of a binding; index of tp_binding.port and .address. */
enum tp_end { TP_CLIENT, TP_SERVER, TP_RELAY, TP_PEER, TP_ENDS };

/*
 * A flow, in two words to be compared and hashed at once. Of IPv6's addresses it
 * has a hash only: who finds a flow's record compares them too.
 */
struct tp_flow {
	__u64 addresses; /* IPv4: source and destination as they lie in a header */
	__u64 ports;	 /* in its lower half the two as they lie in a UDP header, then the */
			 /* channel (__be16; 0: from peer to client), then TP_FLOW_V6 */
};

#define TP_FLOW_V6	    (1ULL << 48)

/* What else a leg keeps in its flow's `ports`, and the channel of the binding downstream too. */
#define TP_LEG_OUT_V6	    (1ULL << 49)
#define TP_LEG_SERVER_SHIFT 56				     /* index of tp_config.live */
#define TP_FLOW_UP	    (TP_FLOW_V6 | 0xffffffffffffULL) /* what is compared with a flow's */
#define TP_FLOW_DOWN	    (TP_FLOW_V6 | 0xffffffffULL)

/* (generation << 32 | slot): one life of a slot. 0 is no handle. */
typedef __u64 tp_handle;

/* Half a cache line of the flow index; see bpf/index.h. */
#define TP_BUCKET 8
struct tp_bucket {
	__u32 entry[TP_BUCKET];
} __attribute__((aligned(32)));

struct tp_count {
	__u64 packets;
	__u64 bytes; /* UDP payload without the channel header */
};

/*
 * One direction of a binding: all that is needed to relay an IPv4 packet, and to
 * count it, in one cache line. `sequence` is odd while an observer writes;
 * `in.ports` is 0 if no packet is relayed (any more).
 */
struct tp_leg {
	struct tp_flow in; /* the flow that it is for, and TP_LEG_ bits */
	__u64 addresses;   /* what the packet gets; IPv6's are in the binding */
	__u32 ports;	   /* likewise */
	__u32 sequence;
	__u32 expires; /* jiffies, their lower half */
	__u32 allocation;
	union {
		struct {
			__u16 epoch; /* the allocation's, its lower half */
			__u16 owner; /* CPU that counts here, from 1; 0: none yet */
		};
		__u32 claim; /* both, for who wants to be the owner; at any time */
	};
	__u32 hop;	     /* see bpf/hop.h */
	struct tp_count own; /* by the owner; other CPUs count in the binding */
};

/* Where packets leave. `sequence` is odd while it is written. Shared by all legs that leave there.
 */
struct tp_hop {
	__u32 sequence;
	__u32 generation; /* tp_config.hop_generation when it was looked up; 0: never */
	__u32 ifindex;
	__u16 mtu;
	__u16 device;	     /* index in `devices`, and TP_HOP_REDIRECT */
	__u8 destination[6]; /* source follows it as in an Ethernet header */
	__u8 source[6];
	__u32 zero;
} __attribute__((aligned(8)));

#define TP_HOP_REDIRECT	   0x8000 /* even to the interface that the packet came in by */
#define TP_HOP_LOCAL	   0x4000 /* nowhere: the address is this machine's own */
#define TP_HOP_NO_TRANSMIT 0x2000 /* native XDP can't send there, but back where it came in */
#define TP_HOP_TAGGED	   0x1000 /* with VLAN tags */
#define TP_HOP_FLAGS	   0xf000
#define TP_HOP_MIND	   0x7000 /* all that are rare */
#define TP_HOP_BITS	   12
#define TP_HOPS		   (1 << TP_HOP_BITS) /* the last is never used */

/*
 * The hop between a pair of addresses, found by user space, for every binding
 * between them: at hop_route()'s place, where another pair may push it out.
 */
#define TP_ROUTE_BITS	   14
#define TP_ROUTES	   (1 << TP_ROUTE_BITS)
struct tp_route_key {
	__u64 source[2]; /* as tp_binding.address */
	__u64 destination[2];
	__u64 family;
};

struct tp_route {
	__u32 sequence;
	__u32 generation; /* as in tp_hop */
	__u32 hop;	  /* index in `hops` */
	__u32 why;	  /* there is none, for this reason (enum tp_counter); 0: there is */
	struct tp_route_key key;
};

/*
 * Checksum terms of one direction, one's complement sums of 16-bit words as they
 * lie, folded. Kept for IPv6 only: from IPv4 to IPv4 they are summed up as fast.
 */
struct tp_terms {
	__u16 pseudo; /* of the datagram as it comes in, without the length */
	__u16 udp;    /* to the UDP checksum, but for payload and padding */
	__u16 ip;     /* to the IPv4 header's, but for length, TTL and the flags that were; */
		      /* from IPv6: the new addresses' sum */
	__u16 zero;
};

/* What another CPU saw of an owner's counting last: an owner that counts no more is followed by
 * another. */
struct tp_watch {
	__u32 packets; /* lower half of tp_leg.own.packets */
	__u32 since;   /* lower half of the jiffies */
};

/*
 * What else is to be known of a binding. `sequence` is odd while an observer
 * writes; observers exclude each other by it. It is in use if its generation
 * is odd, and alive if its epoch is still its allocation's.
 */
struct tp_binding {
	__u32 sequence;
	__u32 generation; /* raised by commit and by retire */
	__u32 allocation;
	__u32 epoch;
	__u64 expires_ns; /* CLOCK_MONOTONIC */
	__be16 channel;
	__u8 client_family; /* AF_INET, AF_INET6 */
	__u8 peer_family;
	__u16 server; /* index of tp_config.live */
	__u16 zero;
	__be16 port[TP_ENDS];
	__u64 session;
	__u32 tgid;
	__u32 zero2;
	/* When user space was last asked for a hop: generation << 16 | jiffies, 16 bits of each. */
	__u32 hop_asked[TP_DIRECTIONS];
	struct tp_terms terms[TP_DIRECTIONS];
	__u64 address[TP_ENDS][2];
	struct tp_count shared[TP_DIRECTIONS]; /* by CPUs that don't own the leg; locked */
	struct tp_watch watch[TP_DIRECTIONS];  /* of the leg's owner */
} __attribute__((aligned(64)));

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
	__u32 hop_generation; /* raised when routes, links, addresses, neighbours change; never 0,
			       */
	/* less than 1 << (32 - TP_HOP_BITS) */
	__u64 index_secret; /* see bpf/index.h; the next too */
	__u32 index_shift;  /* 64 less the number of bits of a bucket's number */
	__u32 zero;
	__u64 lease;		/* jiffies: from then on everything passes */
	__u32 live[TP_SERVERS]; /* process ids; 0 stops forwarding for that server */
};

/* What every program needs, at an address that is known when it is loaded: no look-up. */
struct tp_shared {
	struct tp_config config;
	struct tp_port port[65536]; /* by number, host order */
};

/* How many slots of bindings and of allocations were ever used; may run past the limit. */
struct tp_taken {
	__u32 bindings;
	__u32 allocations;
};

#define TP_DEVICES   64

/* A VLAN device, by the interface under it and its tags as they lie, outermost first. */
#define TP_VLAN_TAGS 2
struct tp_tag {
	__be16 proto; /* 0: no tag */
	__be16 tci;   /* of a packet; of a device the number alone */
};

struct tp_vlan {
	__u32 ifindex;
	struct tp_tag tag[TP_VLAN_TAGS];
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
	TP_PASSED_EGRESS, /* it would leave by what native XDP can't send to */
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
	TP_NOTICE_RETIRE,
	TP_NOTICE_ALLOCATION_GONE,
	TP_NOTICE_SOCKET_CLOSED,
	TP_NOTICE_SERVER_GONE,
	TP_NOTICE_TABLE_FULL,
	TP_NOTICE_HOP,	   /* a direction of a binding needs its next hop */
	TP_NOTICE_TROUBLE, /* `direction`: enum tp_trouble, `handle`: where */
};

/* What the fast path can't do at an interface (its ifindex), for user space to find another way. */
enum tp_trouble {
	TP_TROUBLE_HEADROOM, /* the frame's head can't be moved */
	TP_TROUBLE_PARTIAL,  /* a checksum that stops at the pseudo header */
	TP_TROUBLE_EGRESS,   /* it leaves by what native XDP can't send to */
	TP_TROUBLE_REDIRECT, /* a redirected frame is lost: index in `devices`; `channel`: errno */
	TP_TROUBLES,
};

/* Of the second so many make a notice: a few of them are chance. */
#define TP_TROUBLE_PARTIAL_EVERY 64

/* An interface that is ours, by its ifindex. */
struct tp_device {
	__u32 index; /* in `devices` */
	__u32 trouble[TP_TROUBLES];
};

struct tp_notice {
	__u32 kind;
	__u32 tgid;
	__u64 session;
	tp_handle handle;
	__u32 channel;
	__u32 direction;
};

_Static_assert(sizeof(struct tp_flow) == 16, "tp_flow layout");
_Static_assert(sizeof(struct tp_bucket) == 32, "tp_bucket layout");
_Static_assert(sizeof(struct tp_hop) == 32, "tp_hop layout");
_Static_assert(sizeof(struct tp_leg) == 64, "tp_leg layout");
_Static_assert(sizeof(struct tp_route) == 56, "tp_route layout");
_Static_assert(sizeof(struct tp_binding) == 192, "tp_binding layout");
_Static_assert(sizeof(struct tp_allocation) == 16 + TP_USER_LENGTH + TP_REALM_LENGTH,
	       "tp_allocation layout");
_Static_assert(sizeof(struct tp_session_key) == 16, "tp_session_key layout");
_Static_assert(sizeof(struct tp_socket_key) == 40, "tp_socket_key layout");
_Static_assert(sizeof(struct tp_socket) == 16, "tp_socket layout");
_Static_assert(sizeof(struct tp_notice) == 32, "tp_notice layout");

#endif
