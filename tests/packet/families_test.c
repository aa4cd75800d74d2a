// SPDX-License-Identifier: GPL-2.0-only
/* IPv6, and from one family to the other: packets in and out of the program that the kernel runs.
 */
#include "tests/packet/expect.h"

#define ROUNDS 10000

static struct engine engine;

static int setup(void **state)
{
	(void)state;
	return engine_load(&engine, 64);
}

static int teardown(void **state)
{
	(void)state;
	engine_free(&engine);
	return 0;
}

static int bind_to(const struct frame_hosts *to)
{
	frame_hosts = to;
	return frame_bind(&engine);
}

static void assert_address(const uint8_t *at, const char *expected)
{
	uint8_t address[16];

	inet_pton(frame_family(expected), expected, address);
	assert_memory_equal(at, address, frame_family(expected) == AF_INET6 ? 16 : 4);
}

/* The IP header that the server would have written; LENGTH is what follows it. */
static void assert_ip(const uint8_t *frame, const char *source, const char *destination,
		      uint16_t length, int ttl, int df)
{
	const uint8_t *ip = frame + 14;

	if (frame_family(source) == AF_INET6) {
		assert_int_equal(get16(frame + 12), 0x86dd);
		assert_int_equal(get16(ip), 0x6220); /* traffic class 0x22 */
		assert_int_equal(get16(ip + 2), 0);
		assert_int_equal(get16(ip + 4), length);
		assert_int_equal(ip[6], 17);
		assert_int_equal(ip[7], ttl);
		assert_address(ip + 8, source);
		assert_address(ip + 24, destination);
		return;
	}
	assert_int_equal(get16(frame + 12), 0x0800);
	assert_int_equal(get16(ip), 0x4522);
	assert_int_equal(get16(ip + 2), 20 + length);
	assert_int_equal(get16(ip + 6), df ? 0x4000 : 0);
	assert_int_equal(ip[8], ttl);
	assert_int_equal(ip[9], 17);
	assert_int_equal(get16(ip + 10), frame_ip_check(ip));
	assert_address(ip + 12, source);
	assert_address(ip + 16, destination);
}

static void assert_udp(const struct frame *result, int direction, const uint8_t *payload,
		       uint16_t length)
{
	const uint8_t *ip = result->byte + 14, *udp = frame_udp(ip), *data = udp + 8;
	int up = direction == TP_UP;

	assert_int_equal(get16(udp), up ? FRAME_RELAY_PORT : FRAME_SERVER_PORT);
	assert_int_equal(get16(udp + 2), up ? FRAME_PEER_PORT : FRAME_CLIENT_PORT);
	assert_int_equal(get16(udp + 4), 8 + length + (up ? 0 : 4));
	assert_int_equal(get16(udp + 6), frame_udp_check(ip));
	if (!up) {
		assert_int_equal(get16(data), FRAME_CHANNEL);
		assert_int_equal(get16(data + 2), length);
		data += 4;
	}
	assert_int_equal(data + length - result->byte, result->length);
	assert_memory_equal(data, payload, length);
}

static int looks_partial(const struct frame *frame)
{
	const uint8_t *ip = frame->byte + 14, *udp = frame_udp(ip);
	uint32_t length = get16(udp + 4);

	return get16(udp + 6) == (frame_is_v6(ip) ? frame_sum(ip + 8, 32, 17 + length)
						  : frame_sum(ip + 12, 8, 17 + length));
}

static void relay_random(const struct frame_hosts *h, int direction)
{
	uint16_t length = rand() % 1400, padding = length ? rand() % 4 : 0, trailer = rand() % 10;
	int up = direction == TP_UP, client_v6 = frame_family(h->client) == AF_INET6;
	struct frame frame, result;
	uint8_t payload[1400];

	for (size_t i = 0; i < length; i++)
		payload[i] = rand();
	if (up)
		frame_up_channel(&frame, payload, length, padding);
	else
		frame_down(&frame, payload, length);
	frame.length += trailer;
	if (looks_partial(&frame))
		return;
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
	assert_ip(result.byte, up ? h->relay : h->server, up ? h->peer : h->client,
		  8 + length + (up ? 0 : 4), up ? 46 : 64, !up || !client_v6);
	assert_udp(&result, direction, payload, length);
}

static void all_families(void **state)
{
	(void)state;
	for (size_t i = 0; i < FRAME_FAMILIES; i++) {
		assert_int_equal(bind_to(&frame_families[i]), 0);
		for (int round = 0; round < ROUNDS; round++)
			relay_random(&frame_families[i], round % 2 ? TP_UP : TP_DOWN);
	}
}

/* Of two flows whose addresses have one hash, only the record's own is relayed. */
static void addresses_are_compared(void **state)
{
	struct frame frame;

	(void)state;
	bind_to(&frame_families[3]);
	frame_down(&frame, "x", 1);
	engine.bindings[FRAME_SLOT].address[TP_PEER][1] ^= 1;
	expect_passed(&engine, &frame, TP_PASSED_NO_BINDING);
}

static void relay_socket_gone(void **state)
{
	struct tp_epochs v4_gone = {.epoch = {1, 0}}, v6_gone = {.epoch = {0, 1}}, first = {};
	int epochs = bpf_map__fd(engine.uprobe->maps.epochs);
	struct frame frame, result;
	uint32_t zero = 0;

	(void)state;
	bind_to(&frame_families[1]);
	frame_up_channel(&frame, "x", 1, 0);
	bpf_map_update_elem(epochs, &zero, &v4_gone, BPF_ANY); /* another relay socket's family */
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
	bpf_map_update_elem(epochs, &zero, &v6_gone, BPF_ANY);
	expect_passed(&engine, &frame, TP_PASSED_NO_BINDING);
	bpf_map_update_elem(epochs, &zero, &first, BPF_ANY);
}

/* A second binding, whose relayed address is the first one's peer, and the other way round. */
#define OTHER_SLOT (FRAME_SLOT + 1)

static void bind_other(const struct frame_hosts *to, const char *other_client,
		       const char *other_server)
{
	struct frame_bound bound = {.binding = engine.bindings[FRAME_SLOT]};
	struct tp_binding *b = &bound.binding;

	b->generation = 9;
	b->client_family = frame_family(other_client);
	memset(b->address, 0, sizeof(b->address));
	frame_end(b, TP_CLIENT, other_client, FRAME_CLIENT_PORT + 1);
	frame_end(b, TP_SERVER, other_server, FRAME_SERVER_PORT);
	frame_end(b, TP_RELAY, to->peer, FRAME_PEER_PORT);
	frame_end(b, TP_PEER, to->relay, FRAME_RELAY_PORT);
	frame_legs(&bound, 1);
	frame_put(&engine, OTHER_SLOT, &bound);
	frame_hop(&engine, FRAME_SLOT, TP_UP)->device = TP_HOP_LOCAL;
}

static void hairpin(void **state)
{
	static const char *const clients[] = {"10.0.0.77", "2001:db8::77"}, *const servers[] = {
										    "10.0.0.1",
										    "2001:db8::1"};
	uint8_t payload[] = "0123456789";
	struct frame frame, result;

	(void)state;
	for (size_t i = 0; i < FRAME_FAMILIES; i++) {
		for (int v6 = 0; v6 < 2; v6++) {
			uint64_t before = expect_counter(&engine, TP_FORWARDED_HAIRPIN);

			bind_to(&frame_families[i]);
			bind_other(&frame_families[i], clients[v6], servers[v6]);
			frame_up_channel(&frame, payload, 10, 2);
			assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
			assert_ip(result.byte, servers[v6], clients[v6], 8 + 4 + 10, 64, 1);
			assert_int_equal(get16(frame_udp(result.byte + 14) + 2),
					 FRAME_CLIENT_PORT + 1);
			assert_int_equal(get16(frame_udp(result.byte + 14) + 6),
					 frame_udp_check(result.byte + 14));
			assert_memory_equal(frame_udp(result.byte + 14) + 12, payload, 10);
			assert_int_equal(expect_counter(&engine, TP_FORWARDED_HAIRPIN), before + 1);
		}
	}
}

/* Either binding's end is the end; a client that is this very machine is the server's. */
static void hairpin_doubts(void **state)
{
	struct tp_leg *first = frame_leg(&engine, FRAME_SLOT, TP_UP);
	struct tp_leg *second = frame_leg(&engine, OTHER_SLOT, TP_DOWN);
	struct frame frame;

	(void)state;
	for (int i = 0; i < 7; i++) {
		enum tp_counter reason = TP_PASSED_NO_BINDING;

		bind_to(&frame_families[0]);
		bind_other(&frame_families[0], "10.0.0.77", "10.0.0.1");
		frame_up_channel(&frame, "x", 1, 0);
		if (i == 0)
			first->in.ports = 0;
		else if (i == 1)
			second->in.ports = 0;
		else if (i == 2)
			first->sequence |= 1;
		else if (i == 3)
			second->sequence |= 1;
		else if (i == 4)
			second->expires -= 1U << 31, reason = TP_PASSED_EXPIRED;
		else if (i == 5)
			frame_hop(&engine, OTHER_SLOT, TP_DOWN)->device = TP_HOP_LOCAL,
						       reason = TP_PASSED_NO_ROUTE;
		else
			frame.byte[24] ^= 1, reason = TP_PASSED_CHECKSUM; /* the IP header's */
		expect_passed(&engine, &frame, reason);
	}
}

static void put_in(struct frame *frame, uint8_t following, const uint8_t *header)
{
	memmove(frame->byte + 62, frame->byte + 54, frame->length - 54);
	memcpy(frame->byte + 54, header, 8);
	frame->byte[20] = following;
	frame->length += 8;
	put16(frame->byte + 18, get16(frame->byte + 18) + 8);
}

static void extension_headers(void **state)
{
	static const uint8_t padding[8] = {17, 0, 1, 4}, fragment[8] = {17, 0, 0, 1, 0, 0, 0, 9};
	static const uint8_t following[] = {0, 43, 60};
	struct frame frame;

	(void)state;
	bind_to(&frame_families[3]);
	for (size_t i = 0; i < sizeof(following); i++) {
		frame_down(&frame, "x", 1);
		put_in(&frame, following[i], padding);
		expect_passed(&engine, &frame, TP_PASSED_IP_OPTIONS);
	}
	frame_down(&frame, "x", 1);
	put_in(&frame, 44, fragment);
	expect_passed(&engine, &frame, TP_PASSED_FRAGMENT);
}

static void doubts_pass(void **state)
{
	uint8_t payload[1500] = {};
	struct frame frame, result;

	(void)state;
	bind_to(&frame_families[3]);
	frame_down(&frame, "x", 1);
	put16(frame.byte + 60, 0); /* IPv6 knows no datagram without a checksum */
	expect_passed(&engine, &frame, TP_PASSED_CHECKSUM);
	frame_down(&frame, "x", 1);
	frame.byte[21] = 1; /* hop limit */
	expect_passed(&engine, &frame, TP_PASSED_TTL);
	frame_down(&frame, "x", 1);
	put16(frame.byte + 18, 99); /* payload length */
	expect_passed(&engine, &frame, TP_PASSED_LENGTH);
	bind_to(&frame_families[1]); /* twenty bytes more upstream */
	frame_up_channel(&frame, payload, 1500 - 48, 0);
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
	frame_up_channel(&frame, payload, 1500 - 48 + 1, 0);
	expect_passed(&engine, &frame, TP_PASSED_MTU);
}

static void truncated(void **state)
{
	struct frame frame, cut, result;

	(void)state;
	for (size_t i = 1; i < FRAME_FAMILIES; i++) {
		bind_to(&frame_families[i]);
		for (int direction = 0; direction < 2; direction++) {
			if (direction == TP_UP)
				frame_up_channel(&frame, "0123456789", 10, 2);
			else
				frame_down(&frame, "0123456789", 10);
			for (cut = frame, cut.length = 14; cut.length < frame.length;
			     cut.length++) {
				assert_int_equal(frame_run(&engine, &cut, &result), XDP_PASS);
				assert_memory_equal(result.byte, cut.byte, cut.length);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_families),	     cmocka_unit_test(addresses_are_compared),
		cmocka_unit_test(relay_socket_gone), cmocka_unit_test(hairpin),
		cmocka_unit_test(hairpin_doubts),    cmocka_unit_test(extension_headers),
		cmocka_unit_test(doubts_pass),	     cmocka_unit_test(truncated),
	};

	srand(1);
	return cmocka_run_group_tests(tests, setup, teardown);
}
