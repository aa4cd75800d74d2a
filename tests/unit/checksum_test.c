// SPDX-License-Identifier: GPL-2.0-only
#include "tests/unit/test.h"
#include "bpf/checksum.h"

/* RFC 1071, the plain way: words in network order, summed and folded. */
static uint16_t reference(const uint8_t *bytes, size_t length)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < length; i += 2)
		sum += bytes[i] << 8 | (i + 1 < length ? bytes[i + 1] : 0);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The example of RFC 1071, section 3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2. */
static void rfc_1071(void **state)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	uint32_t word[2];

	(void)state;
	memcpy(word, bytes, sizeof(word));
	assert_int_equal(bpf_ntohs(csum_fold(csum_u32(word[0]) + csum_u32(word[1]))), 0xddf2);
}

static void fold_carries_twice(void **state)
{
	(void)state;
	assert_int_equal(csum_fold(0x1ffff), 1);
	assert_int_equal(csum_fold(0xffffffff), 0xffff);
	assert_int_equal(csum_fold(0), 0);
	assert_int_equal(csum_fold(0xffff0001), 1);
}

static void addresses(void **state)
{
	uint64_t word[2];
	uint8_t *address = (uint8_t *)word;

	(void)state;
	for (int round = 0; round < 10000; round++) {
		for (size_t i = 0; i < sizeof(word); i++)
			address[i] = rand();
		assert_int_equal(bpf_ntohs(csum_fold(csum_address((__u64 *)word))),
				 reference(address, sizeof(word)));
	}
}

/* RFC 1624: taking a term out and putting another in equals summing anew. */
static void incremental(void **state)
{
	(void)state;
	for (int round = 0; round < 10000; round++) {
		uint16_t word[8];
		uint32_t sum = 0, other = 0;
		uint16_t before, after = rand();
		int which = rand() % 8;

		for (int i = 0; i < 8; i++)
			sum += word[i] = rand();
		before = word[which];
		word[which] = after;
		for (int i = 0; i < 8; i++)
			other += word[i];
		sum = csum_fold(csum_fold(sum) + csum_not(before) + after);
		/* Zero has two representations in ones' complement. */
		assert_int_equal(sum % 0xffff, csum_fold(other) % 0xffff);
	}
}

static void udp_never_sends_zero(void **state)
{
	(void)state;
	assert_int_equal(csum_udp(0xffff), 0xffff);
	assert_int_equal(csum_udp(0), 0xffff);
	assert_int_equal(csum_udp(1), 0xfffe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_1071),
		cmocka_unit_test(fold_carries_twice),
		cmocka_unit_test(addresses),
		cmocka_unit_test(incremental),
		cmocka_unit_test(udp_never_sends_zero),
	};

	srand(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
