// SPDX-License-Identifier: GPL-2.0-only
#include "tests/unit/test.h"
#include <arpa/inet.h>
#include "bpf/stun.h"

static struct stun parsed;

static int parse(const uint8_t *bytes, size_t size)
{
	struct stun_source source = {.at = bytes, .size = size};

	return stun_parse(&source, &parsed);
}

/* A message that is put together attribute by attribute. */
struct message {
	uint8_t byte[1024];
	size_t size;
};

static void put16(struct message *m, uint16_t value)
{
	m->byte[m->size++] = value >> 8;
	m->byte[m->size++] = value;
}

static void begin(struct message *m, uint16_t type)
{
	m->size = 0;
	put16(m, type);
	put16(m, 0);
	put16(m, STUN_COOKIE >> 16);
	put16(m, STUN_COOKIE & 0xffff);
	for (int i = 0; i < 12; i++)
		m->byte[m->size++] = 0xa0 + i;
}

static void add(struct message *m, uint16_t type, const void *value, uint16_t length)
{
	put16(m, type);
	put16(m, length);
	memcpy(m->byte + m->size, value, length);
	memset(m->byte + m->size + length, 0x20, 3);
	m->size += (length + 3) & ~3U;
	m->byte[2] = (m->size - STUN_HEADER) >> 8;
	m->byte[3] = m->size - STUN_HEADER;
}

static void add_peer4(struct message *m, const char *address, uint16_t port)
{
	uint8_t value[8] = {0, 1, port >> 8 ^ 0x21, (uint8_t)(port ^ 0x12)};
	struct in_addr in;

	inet_pton(AF_INET, address, &in);
	in.s_addr ^= htonl(STUN_COOKIE);
	memcpy(value + 4, &in, 4);
	add(m, 0x0012, value, sizeof(value));
}

static void assert_address(const struct stun_address *a, const char *text, uint16_t port)
{
	char found[INET6_ADDRSTRLEN];

	assert_non_null(inet_ntop(a->family, a->address, found, sizeof(found)));
	assert_string_equal(found, text);
	assert_int_equal(ntohs(a->port), port);
	if (a->family == AF_INET)
		assert_int_equal(a->address[0] >> 32 | a->address[1], 0);
}

/* RFC 5769, 2.1: a request with USERNAME, PRIORITY, MESSAGE-INTEGRITY and FINGERPRINT. */
static const uint8_t rfc_request[] = {
	0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
	0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e,
	0x20, 0x74, 0x65, 0x73, 0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24,
	0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1,
	0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68,
	0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c,
	0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5,
	0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
};

static void rfc_5769_request(void **state)
{
	(void)state;
	assert_true(parse(rfc_request, sizeof(rfc_request)));
	assert_int_equal(parsed.type, 0x0001);
	assert_false(parsed.odd);
	assert_int_equal(parsed.seen, STUN_SEEN_USER | STUN_SEEN_INTEGRITY);
	assert_int_equal(parsed.user.length, 9);
	assert_memory_equal(rfc_request + parsed.user.at, "evtj:h6vY", 9);
	assert_memory_equal(parsed.transaction, rfc_request + 8, 12);
}

/*
 * RFC 5769, 2.2 and 2.3: XOR-MAPPED-ADDRESS of 192.0.2.1:32853 and of
 * [2001:db8:1234:5678:11:2233:4455:6677]:32853, whose form TURN's addresses have.
 */
static void rfc_5769_addresses(void **state)
{
	static const uint8_t transaction[12] = {0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
						0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};
	static const uint8_t v4[8] = {0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43};
	static const uint8_t v6[20] = {0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3,
				       0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9};
	struct stun_address address;
	struct stun_value value = {};
	uint32_t words[3];

	(void)state;
	memcpy(words, transaction, sizeof(words));
	memcpy(&value, v4, sizeof(v4));
	assert_true(stun_xor_address(&value, 8, words, &address));
	assert_address(&address, "192.0.2.1", 32853);
	memcpy(&value, v6, sizeof(v6));
	assert_true(stun_xor_address(&value, 20, words, &address));
	assert_address(&address, "2001:db8:1234:5678:11:2233:4455:6677", 32853);
	assert_false(stun_xor_address(&value, 8, words, &address));
}

/* RFC 5769, 2.4: long-term credentials: USERNAME, NONCE, REALM, MESSAGE-INTEGRITY. */
static void rfc_5769_long_term(void **state)
{
	static const uint8_t bytes[] = {
		0x00, 0x01, 0x00, 0x60, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6,
		0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e, 0x00, 0x06, 0x00, 0x12, 0xe3, 0x83,
		0x9e, 0xe3, 0x83, 0x88, 0xe3, 0x83, 0xaa, 0xe3, 0x83, 0x83, 0xe3, 0x82, 0xaf,
		0xe3, 0x82, 0xb9, 0x00, 0x00, 0x00, 0x15, 0x00, 0x1c, 0x66, 0x2f, 0x2f, 0x34,
		0x39, 0x39, 0x6b, 0x39, 0x35, 0x34, 0x64, 0x36, 0x4f, 0x4c, 0x33, 0x34, 0x6f,
		0x4c, 0x39, 0x46, 0x53, 0x54, 0x76, 0x79, 0x36, 0x34, 0x73, 0x41, 0x00, 0x14,
		0x00, 0x0b, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x2e, 0x6f, 0x72, 0x67,
		0x00, 0x00, 0x08, 0x00, 0x14, 0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6, 0x4a, 0x3e,
		0x02, 0xb8, 0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2, 0x8c, 0xa8, 0x96, 0x66,
	};

	(void)state;
	assert_true(parse(bytes, sizeof(bytes)));
	assert_false(parsed.odd);
	assert_int_equal(parsed.user.length, 18);
	assert_int_equal(parsed.realm.length, 11);
	assert_memory_equal(bytes + parsed.realm.at, "example.org", 11);
}

static void channel_bind(void **state)
{
	static const uint8_t channel[4] = {0x40, 0x17, 0, 0};
	struct message m;

	(void)state;
	begin(&m, STUN_CHANNEL_BIND);
	add(&m, 0x000c, channel, 4);
	add(&m, 0x7f31, "unknown", 7);
	add_peer4(&m, "10.0.1.2", 5000);
	add(&m, 0x0006, "u", 1);
	assert_true(parse(m.byte, m.size));
	assert_int_equal(parsed.type, STUN_CHANNEL_BIND);
	assert_int_equal(ntohs(parsed.channel), 0x4017);
	assert_int_equal(parsed.peers, 1);
	assert_address(&parsed.peer[0], "10.0.1.2", 5000);
	assert_false(parsed.odd);
}

static void repeated_is_odd(void **state)
{
	static const uint8_t channel[4] = {0x40, 0x17, 0, 0};
	struct message m;

	(void)state;
	begin(&m, STUN_CHANNEL_BIND);
	add(&m, 0x000c, channel, 4);
	add(&m, 0x000c, channel, 4);
	assert_true(parse(m.byte, m.size));
	assert_true(parsed.odd);
	begin(&m, STUN_CREATE_PERMISSION);
	for (int i = 0; i < STUN_PEERS; i++)
		add_peer4(&m, "10.0.1.2", i);
	assert_true(parse(m.byte, m.size) && !parsed.odd && parsed.peers == STUN_PEERS);
	add_peer4(&m, "10.0.1.2", 9);
	assert_true(parse(m.byte, m.size) && parsed.odd && parsed.peers == STUN_PEERS);
}

/* Servers are to ignore it there (RFC 8489, 14.5); who knows if they do. */
static void behind_integrity_is_odd(void **state)
{
	static const uint8_t zero[20];
	struct message m;

	(void)state;
	begin(&m, STUN_CHANNEL_BIND);
	add(&m, 0x0008, zero, 20);
	add(&m, 0x8028, zero, 4);
	assert_true(parse(m.byte, m.size) && !parsed.odd);
	add_peer4(&m, "10.0.1.2", 5000);
	assert_true(parse(m.byte, m.size) && parsed.odd);
}

static void too_many_are_odd(void **state)
{
	struct message m;

	(void)state;
	begin(&m, STUN_REFRESH);
	for (int i = 0; i < STUN_ATTRIBUTES; i++)
		add(&m, 0x8022, "", 0);
	assert_true(parse(m.byte, m.size) && !parsed.odd);
	add(&m, 0x8022, "", 0);
	assert_true(parse(m.byte, m.size) && parsed.odd);
}

/* Every attribute that is read, at every length but its own: odd, or not there. */
static void malformed_lengths(void **state)
{
	static const struct {
		uint16_t type, length, other;
		uint32_t bit;
	} attributes[] = {
		{0x000c, 4, 4, STUN_SEEN_CHANNEL}, {0x000d, 4, 4, STUN_SEEN_LIFETIME},
		{0x0012, 8, 20, STUN_SEEN_PEER},   {0x0016, 8, 20, STUN_SEEN_RELAYED_V4},
		{0x0017, 4, 4, STUN_SEEN_FAMILY},  {0x0019, 4, 4, STUN_SEEN_TRANSPORT},
	};
	uint8_t value[64] = {0, 1};
	struct message m;

	(void)state;
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		for (uint16_t length = 0; length <= sizeof(value); length++) {
			begin(&m, STUN_CHANNEL_BIND);
			add(&m, attributes[i].type, value, length);
			assert_true(parse(m.byte, m.size));
			assert_int_equal(parsed.odd, length != attributes[i].length);
			if (!parsed.odd)
				assert_int_equal(parsed.seen, attributes[i].bit);
		}
	}
}

/* Cut anywhere, or with any length field: refused, never read beyond. */
static void cut_anywhere(void **state)
{
	struct message m;
	uint8_t *copy;

	(void)state;
	begin(&m, STUN_CHANNEL_BIND);
	add_peer4(&m, "10.0.1.2", 5000);
	add(&m, 0x0006, "somebody", 8);
	for (size_t size = 0; size < m.size; size++) {
		copy = malloc(size + 1); /* the sanitizer sees a read too many */
		memcpy(copy, m.byte, size);
		assert_false(parse(copy, size));
		if (size >= 4) {
			copy[2] = (size - STUN_HEADER) >> 8;
			copy[3] = size - STUN_HEADER;
		}
		assert_int_equal(parse(copy, size), size == 20 || size == 32);
		free(copy);
	}
	for (int length = 0; length < 65536; length++) {
		m.byte[22] = length >> 8;
		m.byte[23] = length;
		parse(m.byte, m.size);
	}
}

static void not_stun(void **state)
{
	uint8_t bytes[sizeof(rfc_request)];

	(void)state;
	for (int bit = 0; bit < 64; bit++) {
		memcpy(bytes, rfc_request, sizeof(bytes));
		bytes[bit / 8] ^= 1 << bit % 8;
		/* Only another method or class is still STUN. */
		assert_int_equal(parse(bytes, sizeof(bytes)), bit < 16 && bit != 6 && bit != 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_5769_request),   cmocka_unit_test(rfc_5769_addresses),
		cmocka_unit_test(rfc_5769_long_term), cmocka_unit_test(channel_bind),
		cmocka_unit_test(repeated_is_odd),    cmocka_unit_test(behind_integrity_is_odd),
		cmocka_unit_test(too_many_are_odd),   cmocka_unit_test(malformed_lengths),
		cmocka_unit_test(cut_anywhere),	      cmocka_unit_test(not_stun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
