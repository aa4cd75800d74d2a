// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random frames through the program that the kernel runs and through the same
 * code on the host: equal verdicts and bytes. HOST_PACKETS (1,000,000) sets how many.
 */
#include <time.h>
#include "tests/packet/expect.h"
#include "tests/packet/host.h"

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

/* Has the datagram, as its length field says, an end within the buffer? */
static int has_end(const struct frame *frame)
{
	const uint8_t *udp = frame_udp(frame->byte + 14);

	return get16(udp + 4) >= 8 && udp + get16(udp + 4) <= frame->byte + sizeof(frame->byte);
}

/* A good datagram, then up to three bytes of it changed, or its end cut or stretched. */
static void random_frame(struct frame *frame)
{
	uint8_t payload[1500];
	uint16_t length = rand() % 4 ? rand() % 64 : rand() % 1500;

	for (size_t i = 0; i < length; i++)
		payload[i] = rand();
	if (rand() % 2)
		frame_up_channel(frame, payload, length, rand() % 5);
	else
		frame_down(frame, payload, length);
	if (rand() % 2) {
		for (int i = rand() % 4; i; i--)
			frame->byte[12 + rand() % 60] ^= rand();
		if (rand() % 2 && has_end(frame))
			frame_checksums(frame);
	}
	if (rand() % 8 == 0)
		frame->length = 14 + rand() % (frame->length - 13);
	else if (rand() % 4 == 0)
		frame->length += rand() % 20;
}

/* From IPv6 to IPv4 upstream the identification is random: make it, and the checksum, the same. */
static void forget_id(const struct frame *in, uint8_t *out)
{
	if (get16(in->byte + 12) != 0x86dd || get16(out + 12) != 0x0800)
		return;
	put16(out + 18, 0);
	put16(out + 24, frame_ip_check(out + 14));
}

static void same_as_on_the_host(void **state)
{
	const char *packets = getenv("HOST_PACKETS");
	struct frame in, result;
	struct host_frame host;
	struct frame_bound bound;
	long relayed = 0, count = packets ? atol(packets) : 1000000;

	(void)state;
	for (long i = 0; i < count; i++) {
		int verdict;

		if (i % 1000 == 0) {
			frame_hosts = &frame_families[i / 1000 % 4];
			frame_binding(&bound);
			frame_bind(&engine);
		}
		random_frame(&in);
		assert_true(host_load(&host, in.byte, in.length));
		verdict = host_run(&host, &bound);
		assert_int_equal(frame_run(&engine, &in, &result), verdict);
		assert_int_equal(result.length, host.end - host.data);
		if (verdict == XDP_TX) {
			forget_id(&in, result.byte);
			forget_id(&in, host.data);
			relayed++;
		}
		assert_memory_equal(result.byte, host.data, result.length);
	}
	assert_true(relayed > count / 4); /* else nothing was compared */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_on_the_host)};
	unsigned int seed = time(NULL);

	printf("seed %u\n", seed);
	srand(seed);
	return cmocka_run_group_tests(tests, setup, teardown);
}
