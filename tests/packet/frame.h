/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames field by field, and a binding to relay them by, for tests of the
 * loaded program. Checksums are computed the long way, over all bytes.
 */
#ifndef TURNPIKE_TESTS_FRAME_H
#define TURNPIKE_TESTS_FRAME_H

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/fastpath.skel.h"
#include "bpf/index.h"
#include "bpf/hop.h"
#include "bpf/rewrite.h"
#include "probes/uprobe.skel.h"
#include "src/engine.h"

#define FRAME_LARGEST 3000
#define FRAME_HEADERS 42
#define FRAME_CHANNEL 0x4001
#define FRAME_SLOT    3

struct frame {
	uint8_t byte[FRAME_LARGEST];
	uint32_t length;
};

struct frame_spec {
	const char *source, *destination;
	uint16_t source_port, destination_port;
	uint8_t ttl, tos;
	uint16_t fragment; /* flags and offset, host order */
	const void *payload;
	uint16_t payload_length;
};

struct frame_hosts {
	const char *client, *server, *relay, *peer;
};

#define FRAME_FAMILIES 4
static const struct frame_hosts frame_families[FRAME_FAMILIES] = {
	{"10.0.0.2", "10.0.0.1", "10.0.1.1", "10.0.1.2"},
	{"10.0.0.2", "10.0.0.1", "2001:db8:1::1", "2001:db8:1::2"},
	{"2001:db8::2", "2001:db8::1", "10.0.1.1", "10.0.1.2"},
	{"2001:db8::2", "2001:db8::1", "2001:db8:1::1", "2001:db8:1::2"},
};

/* Whose packets are built, and whose binding frame_bind() makes. */
static const struct frame_hosts *frame_hosts = frame_families;

static inline int frame_family(const char *address)
{
	return strchr(address, ':') ? AF_INET6 : AF_INET;
}
enum {
	FRAME_CLIENT_PORT = 40000,
	FRAME_SERVER_PORT = 3478,
	FRAME_RELAY_PORT = 50000,
	FRAME_PEER_PORT = 5000
};

static inline void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static inline uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

/* RFC 1071 over bytes, in big-endian words; the reference for the clever code. */
static inline uint32_t frame_sum(const uint8_t *at, uint32_t length, uint32_t sum)
{
	for (uint32_t i = 0; i < length; i++)
		sum += i % 2 ? at[i] : at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline uint16_t frame_ip_check(const uint8_t *ip)
{
	return ~frame_sum(ip + 12, 8, frame_sum(ip, 10, 0));
}

static inline int frame_is_v6(const uint8_t *ip)
{
	return ip[0] >> 4 == 6;
}

/* The UDP header behind an IP header without options. */
static inline const uint8_t *frame_udp(const uint8_t *ip)
{
	return ip + (frame_is_v6(ip) ? 40 : 20);
}

static inline uint16_t frame_udp_check(const uint8_t *ip)
{
	const uint8_t *udp = frame_udp(ip);
	uint16_t length = get16(udp + 4);
	uint32_t sum = frame_is_v6(ip) ? frame_sum(ip + 8, 32, 17 + length)
				       : frame_sum(ip + 12, 8, 17 + length);
	uint16_t check;

	sum = frame_sum(udp, 6, sum);
	check = ~frame_sum(udp + 8, length - 8, sum);
	return check ? check : 0xffff;
}

static inline void frame_checksums(struct frame *frame)
{
	uint8_t *ip = frame->byte + 14;

	if (!frame_is_v6(ip))
		put16(ip + 10, frame_ip_check(ip));
	put16((uint8_t *)frame_udp(ip) + 6, frame_udp_check(ip));
}

/* Version to addresses; LENGTH bytes follow. Returns where. */
static inline uint8_t *frame_ip_header(uint8_t *ip, const struct frame_spec *spec, uint16_t length)
{
	if (frame_family(spec->source) == AF_INET6) {
		put16(ip, 0x6000 | spec->tos << 4);
		put16(ip + 4, length);
		ip[6] = 17;
		ip[7] = spec->ttl;
		inet_pton(AF_INET6, spec->source, ip + 8);
		inet_pton(AF_INET6, spec->destination, ip + 24);
		return ip + 40;
	}
	ip[0] = 0x45;
	ip[1] = spec->tos;
	put16(ip + 2, 20 + length);
	put16(ip + 4, 0x1234);
	put16(ip + 6, spec->fragment);
	ip[8] = spec->ttl;
	ip[9] = 17;
	inet_pton(AF_INET, spec->source, ip + 12);
	inet_pton(AF_INET, spec->destination, ip + 16);
	return ip + 20;
}

static inline void frame_build(struct frame *frame, const struct frame_spec *spec)
{
	static const uint8_t ethernet[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	uint8_t *udp;

	memset(frame, 0, sizeof(*frame));
	memcpy(frame->byte, ethernet, sizeof(ethernet));
	put16(frame->byte + 12, frame_family(spec->source) == AF_INET6 ? 0x86dd : 0x0800);
	udp = frame_ip_header(frame->byte + 14, spec, 8 + spec->payload_length);
	put16(udp, spec->source_port);
	put16(udp + 2, spec->destination_port);
	put16(udp + 4, 8 + spec->payload_length);
	memcpy(udp + 8, spec->payload, spec->payload_length);
	frame->length = udp + 8 + spec->payload_length - frame->byte;
	frame_checksums(frame);
}

/* Client to server; CARRIED bytes are the datagram's payload, channel header and all. */
static inline void frame_up(struct frame *frame, const void *carried, uint16_t length)
{
	struct frame_spec spec = {
		.source = frame_hosts->client,
		.destination = frame_hosts->server,
		.source_port = FRAME_CLIENT_PORT,
		.destination_port = FRAME_SERVER_PORT,
		.ttl = 47,
		.tos = 0x22,
		.fragment = 0x4000,
		.payload = carried,
		.payload_length = length,
	};

	frame_build(frame, &spec);
}

/* As frame_up(), with a channel header for PAYLOAD and PADDING bytes of 0xa5 behind it. */
static inline void frame_up_channel(struct frame *frame, const void *payload, uint16_t length,
				    uint16_t padding)
{
	uint8_t carried[FRAME_LARGEST];

	put16(carried, FRAME_CHANNEL);
	put16(carried + 2, length);
	memcpy(carried + 4, payload, length);
	memset(carried + 4 + length, 0xa5, padding);
	frame_up(frame, carried, 4 + length + padding);
}

static inline void frame_down(struct frame *frame, const void *payload, uint16_t length)
{
	struct frame_spec spec = {
		.source = frame_hosts->peer,
		.destination = frame_hosts->relay,
		.source_port = FRAME_PEER_PORT,
		.destination_port = FRAME_RELAY_PORT,
		.ttl = 47,
		.tos = 0x22,
		.payload = payload,
		.payload_length = length,
	};

	frame_build(frame, &spec);
}

static inline void frame_end(struct tp_binding *b, int end, const char *address, uint16_t port)
{
	inet_pton(frame_family(address), address, b->address[end]);
	b->port[end] = htons(port);
}

/* A binding with all that the fast path needs of it, outside any map. */
struct frame_bound {
	struct tp_binding binding;
	struct tp_leg leg[TP_DIRECTIONS];
	struct tp_hop hop[TP_DIRECTIONS];
};

static inline struct tp_leg *frame_leg(struct engine *engine, uint32_t slot, int direction)
{
	return &engine->legs[leg_index(slot, direction, engine->max_bindings)];
}

/* The tests' legs have a hop each. */
static inline struct tp_hop *frame_hop(struct engine *engine, uint32_t slot, int direction)
{
	return &engine->hops[2 * slot + direction];
}

/* To an interface both ways (loopback: 1), once its ends are set. */
static inline void frame_legs(struct frame_bound *b, uint32_t ifindex)
{
	for (int direction = 0; direction < TP_DIRECTIONS; direction++) {
		b->hop[direction] = (struct tp_hop){
			.generation = 1,
			.ifindex = ifindex,
			.mtu = 1500,
			.destination = {2, 0, 0, 0, direction, 4},
			.source = {2, 0, 0, 0, direction, 3},
		};
		binding_terms(&b->binding, direction, &b->binding.terms[direction]);
		binding_leg(&b->binding, direction, 0, &b->leg[direction]);
	}
}

static inline void frame_add_flow(struct engine *engine, const struct tp_flow *flow, uint32_t slot)
{
	__u64 hash = index_hash(flow, engine->config->index_secret);
	__u32 entry = index_entry(hash, slot);
	struct tp_bucket *bucket =
		&engine->flows[index_bucket(hash, 0, engine->config->index_shift)];

	if (!index_replace(bucket, entry, entry)) /* there from the test before */
		index_replace(bucket, 0, entry);
}

/* The test's one binding, between frame_hosts: to the same interface (loopback) both ways. */
static inline void frame_binding(struct frame_bound *b)
{
	memset(b, 0, sizeof(*b));
	b->binding = (struct tp_binding){
		.generation = 7,
		.expires_ns = UINT64_MAX,
		.channel = htons(FRAME_CHANNEL),
		.client_family = frame_family(frame_hosts->client),
		.peer_family = frame_family(frame_hosts->peer),
		.session = 1,
		.tgid = 1,
	};
	frame_end(&b->binding, TP_CLIENT, frame_hosts->client, FRAME_CLIENT_PORT);
	frame_end(&b->binding, TP_SERVER, frame_hosts->server, FRAME_SERVER_PORT);
	frame_end(&b->binding, TP_RELAY, frame_hosts->relay, FRAME_RELAY_PORT);
	frame_end(&b->binding, TP_PEER, frame_hosts->peer, FRAME_PEER_PORT);
	frame_legs(b, 1);
}

/* Jiffies twelve days and more from now at any HZ; they begin 300 seconds before they wrap around.
 */
static inline uint32_t frame_later(void)
{
	struct timespec now, tick;

	clock_gettime(CLOCK_MONOTONIC, &now);
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	return (now.tv_sec - 300) * (1000000000 / tick.tv_nsec) + (1U << 30);
}

/* Puts a binding into the table. */
static inline void frame_put(struct engine *engine, uint32_t slot, const struct frame_bound *b)
{
	struct tp_flow flow;

	engine->bindings[slot] = b->binding;
	for (int direction = 0; direction < TP_DIRECTIONS; direction++) {
		struct tp_leg *leg = frame_leg(engine, slot, direction);

		*leg = b->leg[direction];
		leg->expires = frame_later();
		leg->hop = hop_word(2 * slot + direction, 1);
		*frame_hop(engine, slot, direction) = b->hop[direction];
		flow = binding_flow(&b->binding, direction);
		frame_add_flow(engine, &flow, slot);
	}
}

static inline int frame_bind(struct engine *engine)
{
	uint32_t loopback = 1, device = 0;
	struct frame_bound b;

	frame_binding(&b);
	frame_put(engine, FRAME_SLOT, &b);
	engine->config->live[0] = 1;
	engine->uprobe->bss->shared.port[FRAME_SERVER_PORT].listener = 1;
	engine->uprobe->bss->shared.port[FRAME_RELAY_PORT].relay = 1;
	return bpf_map_update_elem(bpf_map__fd(engine->fastpath->maps.devices), &device, &loopback,
				   BPF_ANY);
}

/* Runs the real program on a frame; returns its verdict, OUT is what came out. */
static inline int frame_run(struct engine *engine, const struct frame *in, struct frame *out)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->byte, .data_size_in = in->length,
		    .data_out = out->byte, .data_size_out = sizeof(out->byte), .repeat = 1);
	int err;

	memset(out, 0, sizeof(*out));
	err = bpf_prog_test_run_opts(bpf_program__fd(engine->fastpath->progs.turnpike_xdp), &opts);
	out->length = opts.data_size_out;
	return err ? err : (int)opts.retval;
}

#endif
