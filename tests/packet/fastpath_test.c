// SPDX-License-Identifier: GPL-2.0-only
/* Packets in, packets out, of the program that the kernel runs. */
#include "tests/packet/expect.h"

static struct engine engine;

static int setup(void **state)
{
	(void)state;
	if (engine_load(&engine, 64))
		return -1;
	return frame_bind(&engine);
}

static int teardown(void **state)
{
	(void)state;
	engine_free(&engine);
	return 0;
}

/* Every test begins with the same live binding. */
static int rebind(void **state)
{
	(void)state;
	return frame_bind(&engine);
}

/* Golden: ChannelData of "hello" with three bytes of padding, in and out, byte for byte. */
static void golden_upstream(void **state)
{
	static const uint8_t in[] = {
		0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x08, 0x00,
		0x45, 0x22, 0x00, 0x28, 0x12, 0x34, 0x40, 0x00, 0x2f, 0x11, 0x25, 0x6d, 10,   0,
		0,    2,    10,	  0,	0,    1,    0x9c, 0x40, 0x0d, 0x96, 0x00, 0x14, 0xbe, 0x14,
		0x40, 0x01, 0x00, 0x05, 'h',  'e',  'l',  'l',	'o',  0,    0,	  0,
	};
	static const uint8_t out[] = {
		0x02, 0x00, 0x00, 0x00, 0x00, 0x04, 0x02, 0x00, 0x00, 0x00, 0x00, 0x03,
		0x08, 0x00, 0x45, 0x22, 0x00, 0x21, 0x12, 0x34, 0x40, 0x00, 0x2e, 0x11,
		0x24, 0x74, 10,	  0,	1,    1,    10,	  0,	1,    2,    0xc3, 0x50,
		0x13, 0x88, 0x00, 0x0d, 0xcf, 0x26, 'h',  'e',	'l',  'l',  'o',
	};
	struct frame frame = {.length = sizeof(in)}, result;

	(void)state;
	memcpy(frame.byte, in, sizeof(in));
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
	assert_int_equal(result.length, sizeof(out));
	assert_memory_equal(result.byte, out, sizeof(out));
}

static void golden_downstream(void **state)
{
	static const uint8_t in[] = {
		0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02,
		0x08, 0x00, 0x45, 0x22, 0x00, 0x21, 0x12, 0x34, 0x00, 0x00, 0x2f, 0x11,
		0x63, 0x74, 10,	  0,	1,    2,    10,	  0,	1,    1,    0x13, 0x88,
		0xc3, 0x50, 0x00, 0x0d, 0xcf, 0x26, 'h',  'e',	'l',  'l',  'o',
	};
	static const uint8_t out[] = {
		0x02, 0x00, 0x00, 0x00, 0x01, 0x04, 0x02, 0x00, 0x00, 0x00, 0x01, 0x03, 0x08,
		0x00, 0x45, 0x22, 0x00, 0x25, 0x12, 0x34, 0x40, 0x00, 0x40, 0x11, 0x14, 0x70,
		10,   0,    0,	  1,	10,   0,    0,	  2,	0x0d, 0x96, 0x9c, 0x40, 0x00,
		0x11, 0xbe, 0x1a, 0x40, 0x01, 0x00, 0x05, 'h',	'e',  'l',  'l',  'o',
	};
	struct frame frame = {.length = sizeof(in)}, result;

	(void)state;
	memcpy(frame.byte, in, sizeof(in));
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
	assert_int_equal(result.length, sizeof(out));
	assert_memory_equal(result.byte, out, sizeof(out));
}

/* What comes out has the binding's other addresses and checksums that a full sum confirms. */
static void assert_relayed(const struct frame *result, int direction, const uint8_t *payload,
			   uint16_t length)
{
	const struct tp_binding *b = &engine.bindings[FRAME_SLOT];
	int source = direction == TP_UP ? TP_RELAY : TP_SERVER;
	int destination = direction == TP_UP ? TP_PEER : TP_CLIENT;
	const uint8_t *ip = result->byte + 14, *data = ip + 28;

	assert_memory_equal(ip + 12, b->address[source], 4);
	assert_memory_equal(ip + 16, b->address[destination], 4);
	assert_memory_equal(ip + 20, &b->port[source], 2);
	assert_memory_equal(ip + 22, &b->port[destination], 2);
	assert_int_equal(get16(ip + 10), frame_ip_check(ip));
	assert_int_equal(get16(ip + 26), frame_udp_check(ip));
	assert_int_equal(get16(ip + 2) + 14, result->length);
	assert_int_equal(get16(ip + 24) + 34, result->length);
	if (direction == TP_DOWN) {
		assert_int_equal(get16(data), FRAME_CHANNEL);
		assert_int_equal(get16(data + 2), length);
		data += 4;
	}
	assert_int_equal(data + length - result->byte, result->length);
	assert_memory_equal(data, payload, length);
}

static void random_payload(uint8_t *payload, size_t length)
{
	for (size_t i = 0; i < length; i++)
		payload[i] = rand();
}

/* One checksum in 65,536 looks like one that stops at the pseudo header; that packet passes. */
static int looks_partial(const struct frame *frame)
{
	return get16(frame->byte + 40) ==
	       frame_sum(frame->byte + 26, 8, 17 + get16(frame->byte + 38));
}

static void random_upstream(void **state)
{
	uint8_t payload[1400];
	struct frame frame, result;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint16_t length = rand() % sizeof(payload), padding = length ? rand() % 4 : 0;

		random_payload(payload, length);
		frame_up_channel(&frame, payload, length, padding);
		if (looks_partial(&frame))
			continue;
		assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
		assert_relayed(&result, TP_UP, payload, length);
	}
}

static void random_downstream(void **state)
{
	uint8_t payload[1400];
	struct frame frame, result;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint16_t length = rand() % sizeof(payload);

		random_payload(payload, length);
		frame_down(&frame, payload, length);
		if (looks_partial(&frame))
			continue;
		assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
		assert_relayed(&result, TP_DOWN, payload, length);
	}
}

/* A checksum that came wrong leaves wrong. */
static void wrong_checksum_stays_wrong(void **state)
{
	struct frame frame, result;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		uint8_t payload[64];

		random_payload(payload, sizeof(payload));
		if (i % 2)
			frame_up_channel(&frame, payload, sizeof(payload), 0);
		else
			frame_down(&frame, payload, sizeof(payload));
		frame.byte[60] ^= 1 << rand() % 8;
		if (frame_run(&engine, &frame, &result) == XDP_TX)
			assert_int_not_equal(get16(result.byte + 40),
					     frame_udp_check(result.byte + 14));
		frame_checksums(&frame);
		frame.byte[24] ^= 1 << rand() % 8; /* the IP header's own */
		if (frame_run(&engine, &frame, &result) == XDP_TX)
			assert_int_not_equal(get16(result.byte + 24),
					     frame_ip_check(result.byte + 14));
	}
}

/* Ethernet padding behind a short packet goes: the server would not send it on. */
static void ethernet_padding(void **state)
{
	struct frame frame, result;

	(void)state;
	frame_up_channel(&frame, "ab", 2, 2);
	memset(frame.byte + frame.length, 0xee, 10);
	frame.length += 10;
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
	assert_relayed(&result, TP_UP, (const uint8_t *)"ab", 2);
	frame_down(&frame, "ab", 2);
	frame.length += 16;
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
	assert_relayed(&result, TP_DOWN, (const uint8_t *)"ab", 2);
}

static void other_interface(void **state)
{
	struct frame frame, result;

	(void)state;
	frame_hop(&engine, FRAME_SLOT, TP_UP)->ifindex = 2;
	frame_up_channel(&frame, "x", 1, 0);
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_REDIRECT);
}

static void counts_per_binding(void **state)
{
	struct frame frame, result;
	struct tp_count count;

	(void)state;
	frame_up_channel(&frame, "12345", 5, 3);
	frame_run(&engine, &frame, &result);
	frame_down(&frame, "123", 3);
	frame_run(&engine, &frame, &result);
	count = engine_count(&engine, FRAME_SLOT, TP_UP);
	assert_int_equal(count.packets, 1);
	assert_int_equal(count.bytes, 5);
	count = engine_count(&engine, FRAME_SLOT, TP_DOWN);
	assert_int_equal(count.packets, 1);
	assert_int_equal(count.bytes, 3);
}

/* The owner of a leg's counters has fallen silent: after a while another CPU follows, and nothing
 * is lost. */
static void counting_changes_hands(void **state)
{
	struct tp_leg *leg = frame_leg(&engine, FRAME_SLOT, TP_UP);
	struct tp_watch *watch = &engine.bindings[FRAME_SLOT].watch[TP_UP];
	struct frame frame, result;

	(void)state;
	frame_up_channel(&frame, "12345", 5, 3);
	frame_run(&engine, &frame, &result); /* to become the owner */
	leg->owner = 0x7fff;
	watch->packets = 99; /* so it counted, since it was last looked at */
	for (int i = 0; i < 2; i++)
		frame_run(&engine, &frame, &result);
	assert_int_equal(leg->owner, 0x7fff);
	watch->since -= 1000;
	frame_run(&engine, &frame, &result);
	assert_in_range(leg->owner, 1, 0x7ffe);
	frame_run(&engine, &frame, &result);
	assert_int_equal(engine_count(&engine, FRAME_SLOT, TP_UP).packets, 5);
	assert_int_equal(engine_count(&engine, FRAME_SLOT, TP_UP).bytes, 25);
	assert_int_equal(leg->own.packets, 1);
}

static void pass_no_binding(void **state)
{
	struct frame frame;

	(void)state;
	frame_up_channel(&frame, "x", 1, 0);
	put16(frame.byte + 42, FRAME_CHANNEL + 1);
	frame_checksums(&frame);
	expect_passed(&engine, &frame, TP_PASSED_NO_BINDING);
	frame_down(&frame, "x", 1);
	put16(frame.byte + 34, FRAME_PEER_PORT + 1);
	frame_checksums(&frame);
	expect_passed(&engine, &frame, TP_PASSED_NO_BINDING);
}

static void pass_control(void **state)
{
	static const uint8_t binding_request[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
	struct frame frame;

	(void)state;
	frame_up(&frame, binding_request, sizeof(binding_request));
	expect_passed(&engine, &frame, TP_PASSED_CONTROL);
	frame_up(&frame, "", 0);
	expect_passed(&engine, &frame, TP_PASSED_CONTROL);
}

static void pass_fragment(void **state)
{
	struct frame frame;

	(void)state;
	frame_up_channel(&frame, "x", 1, 0);
	put16(frame.byte + 20, 0x2000);
	frame_checksums(&frame);
	expect_passed(&engine, &frame, TP_PASSED_FRAGMENT);
	put16(frame.byte + 20, 0x0001);
	frame_checksums(&frame);
	expect_passed(&engine, &frame, TP_PASSED_FRAGMENT);
}

static void pass_ip_options(void **state)
{
	struct frame frame;

	(void)state;
	frame_up_channel(&frame, "xxxxxxxx", 8, 0);
	frame.byte[14] = 0x46;
	expect_passed(&engine, &frame, TP_PASSED_IP_OPTIONS);
}

static void pass_length(void **state)
{
	struct frame frame;

	(void)state;
	frame_up_channel(&frame, "12345678", 8, 0);
	put16(frame.byte + 44, 9); /* the length field says more than there is */
	frame_checksums(&frame);
	expect_passed(&engine, &frame, TP_PASSED_LENGTH);
	put16(frame.byte + 44, 4); /* four bytes behind: more than padding */
	frame_checksums(&frame);
	expect_passed(&engine, &frame, TP_PASSED_LENGTH);
	frame_up_channel(&frame, "", 0, 3); /* padding without payload */
	expect_passed(&engine, &frame, TP_PASSED_LENGTH);
	frame_down(&frame, "12345678", 8);
	put16(frame.byte + 38, 12); /* UDP length and IP length disagree */
	expect_passed(&engine, &frame, TP_PASSED_LENGTH);
	frame_down(&frame, "12345678", 8);
	frame.length -= 1; /* the frame is cut short */
	expect_passed(&engine, &frame, TP_PASSED_LENGTH);
}

static void pass_checksum(void **state)
{
	struct frame frame;
	uint16_t partial;

	(void)state;
	frame_up_channel(&frame, "x", 1, 0);
	put16(frame.byte + 40, 0); /* none */
	expect_passed(&engine, &frame, TP_PASSED_CHECKSUM);
	partial = frame_sum(frame.byte + 26, 8, 17 + get16(frame.byte + 38));
	put16(frame.byte + 40, partial); /* what a local sender leaves to its card */
	expect_passed(&engine, &frame, TP_PASSED_CHECKSUM);
}

static void pass_ttl(void **state)
{
	struct frame frame;

	(void)state;
	for (uint8_t ttl = 0; ttl <= 1; ttl++) {
		frame_up_channel(&frame, "x", 1, 0);
		frame.byte[22] = ttl;
		frame_checksums(&frame);
		expect_passed(&engine, &frame, TP_PASSED_TTL);
	}
}

static void ttl_follows_the_server(void **state)
{
	static const uint8_t in[] = {2, 47, 64, 65, 66, 255}, out[] = {1, 46, 63, 64, 64, 64};
	struct frame frame, result;

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++) {
		frame_up_channel(&frame, "x", 1, 0);
		frame.byte[22] = in[i];
		frame_checksums(&frame);
		assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
		assert_int_equal(result.byte[22], out[i]);
		frame_down(&frame, "x", 1);
		frame.byte[22] = in[i];
		frame_checksums(&frame);
		assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
		assert_int_equal(result.byte[22], 64);
	}
}

static void pass_mtu(void **state)
{
	uint8_t payload[1500] = {};
	struct frame frame, result;

	(void)state;
	frame_down(&frame, payload, 1500 - 28 - 4);
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_TX);
	frame_down(&frame, payload, 1500 - 28 - 3);
	expect_passed(&engine, &frame, TP_PASSED_MTU);
}

static void pass_expired(void **state)
{
	struct frame frame;

	(void)state;
	frame_down(&frame, "x", 1);
	frame_leg(&engine, FRAME_SLOT, TP_DOWN)->expires -= 1U << 31;
	expect_passed(&engine, &frame, TP_PASSED_EXPIRED);
}

/* No route from loopback to the peer is known: user space is asked, the packet passes. */
static void pass_no_route(void **state)
{
	struct frame frame;

	(void)state;
	frame_leg(&engine, FRAME_SLOT, TP_UP)->hop = hop_none(7);
	frame_up_channel(&frame, "x", 1, 0);
	expect_passed(&engine, &frame, TP_PASSED_NO_ROUTE);
	frame_bind(&engine);
	frame_leg(&engine, FRAME_SLOT, TP_UP)->hop ^= hop_word(0, 2); /* of another generation */
	expect_passed(&engine, &frame, TP_PASSED_NO_ROUTE);
	frame_bind(&engine);
	frame_hop(&engine, FRAME_SLOT, TP_UP)->generation++; /* the hop is */
	expect_passed(&engine, &frame, TP_PASSED_NO_ROUTE);
}

/* Promise 3: each of these ends a binding for the very next packet. */
static void retired_bindings_pass(void **state)
{
	struct tp_leg *leg = frame_leg(&engine, FRAME_SLOT, TP_DOWN);
	struct tp_epochs next = {.epoch = {1, 0}}, first = {};
	int epochs = bpf_map__fd(engine.uprobe->maps.epochs);
	struct frame frame;
	uint32_t zero = 0;

	(void)state;
	frame_down(&frame, "x", 1);
	leg->in.ports = 0;
	expect_passed(&engine, &frame, TP_PASSED_NO_BINDING);
	frame_bind(&engine);
	leg->sequence = 1; /* being written */
	expect_passed(&engine, &frame, TP_PASSED_NO_BINDING);
	frame_bind(&engine);
	bpf_map_update_elem(epochs, &zero, &next, BPF_ANY);
	expect_passed(&engine, &frame, TP_PASSED_NO_BINDING);
	bpf_map_update_elem(epochs, &zero, &first, BPF_ANY);
	engine.config->live[0] = 0;
	expect_passed(&engine, &frame, TP_PASSED_NO_BINDING);
}

/* Promise 4: a flow that leads to somebody else's record, as a reused hash element may. */
static void foreign_record_passes(void **state)
{
	struct tp_leg *up = frame_leg(&engine, FRAME_SLOT, TP_UP);
	struct tp_leg *down = frame_leg(&engine, FRAME_SLOT, TP_DOWN);
	struct frame frame;

	(void)state;
	frame_down(&frame, "x", 1);
	down->in.addresses ^= 1;
	expect_passed(&engine, &frame, TP_PASSED_NO_BINDING);
	frame_bind(&engine);
	down->in.ports ^= 1;
	expect_passed(&engine, &frame, TP_PASSED_NO_BINDING);
	frame_bind(&engine);
	frame_up_channel(&frame, "x", 1, 0);
	up->in.ports ^= 1ULL << 40;
	expect_passed(&engine, &frame, TP_PASSED_NO_BINDING);
}

/* Not ours in the first place: untouched, and not even counted. */
static void foreign_traffic(void **state)
{
	__u64 before[TP_COUNTERS], after[TP_COUNTERS];
	struct frame frame, result;

	(void)state;
	engine_counters(&engine, before);
	frame_down(&frame, "x", 1);
	put16(frame.byte + 36, 53);
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_PASS);
	assert_memory_equal(result.byte, frame.byte, frame.length);
	frame.byte[23] = 6;
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_PASS);
	put16(frame.byte + 12, 0x86dd);
	assert_int_equal(frame_run(&engine, &frame, &result), XDP_PASS);
	engine_counters(&engine, after);
	assert_memory_equal(before, after, sizeof(before));
}

/* Cut at every byte: it passes as it is, or is relayed whole. */
static void truncated(void **state)
{
	struct frame frame, cut, result;

	(void)state;
	for (int direction = 0; direction < 2; direction++) {
		if (direction == TP_UP)
			frame_up_channel(&frame, "0123456789", 10, 2);
		else
			frame_down(&frame, "0123456789", 10);
		for (cut = frame, cut.length = 14; cut.length < frame.length; cut.length++) {
			assert_int_equal(frame_run(&engine, &cut, &result), XDP_PASS);
			assert_memory_equal(result.byte, cut.byte, cut.length);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(golden_upstream, rebind),
		cmocka_unit_test_setup(golden_downstream, rebind),
		cmocka_unit_test_setup(random_upstream, rebind),
		cmocka_unit_test_setup(random_downstream, rebind),
		cmocka_unit_test_setup(wrong_checksum_stays_wrong, rebind),
		cmocka_unit_test_setup(ethernet_padding, rebind),
		cmocka_unit_test_setup(other_interface, rebind),
		cmocka_unit_test_setup(counts_per_binding, rebind),
		cmocka_unit_test_setup(counting_changes_hands, rebind),
		cmocka_unit_test_setup(pass_no_binding, rebind),
		cmocka_unit_test_setup(pass_control, rebind),
		cmocka_unit_test_setup(pass_fragment, rebind),
		cmocka_unit_test_setup(pass_ip_options, rebind),
		cmocka_unit_test_setup(pass_length, rebind),
		cmocka_unit_test_setup(pass_checksum, rebind),
		cmocka_unit_test_setup(pass_ttl, rebind),
		cmocka_unit_test_setup(ttl_follows_the_server, rebind),
		cmocka_unit_test_setup(pass_mtu, rebind),
		cmocka_unit_test_setup(pass_expired, rebind),
		cmocka_unit_test_setup(pass_no_route, rebind),
		cmocka_unit_test_setup(retired_bindings_pass, rebind),
		cmocka_unit_test_setup(foreign_record_passes, rebind),
		cmocka_unit_test_setup(foreign_traffic, rebind),
		cmocka_unit_test_setup(truncated, rebind),
	};

	srand(1);
	return cmocka_run_group_tests(tests, setup, teardown);
}
