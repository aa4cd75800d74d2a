// SPDX-License-Identifier: GPL-2.0-only
#include "tests/unit/test.h"
#include "bpf/index.h"

#define SECRET 0x243f6a8885a308d3ULL

static __u64 hash_of(__u64 addresses, __u64 ports)
{
	struct tp_flow flow = {.addresses = addresses, .ports = ports};

	return index_hash(&flow, SECRET);
}

static void finds_what_was_put(void **state)
{
	struct tp_bucket bucket = {};

	(void)state;
	for (__u32 slot = 0; slot < TP_BUCKET; slot++) {
		__u64 hash = hash_of(1, slot);

		assert_int_equal(index_find(&bucket, hash), -1);
		assert_true(index_replace(&bucket, 0, index_entry(hash, slot)));
		assert_int_equal(index_find(&bucket, hash), slot);
	}
	assert_false(index_replace(&bucket, 0, index_entry(hash_of(1, 99), 99))); /* full */
	assert_true(index_replace(&bucket, index_entry(hash_of(1, 3), 3), 0));
	assert_int_equal(index_find(&bucket, hash_of(1, 3)), -1);
	assert_false(index_replace(&bucket, index_entry(hash_of(1, 3), 3), 0));
	assert_int_equal(index_find(&bucket, hash_of(1, 4)), 4);
}

/* A tag of zero must not be taken for a free entry, nor a free entry for one. */
static void zero_tag(void **state)
{
	struct tp_bucket bucket = {};
	__u64 hash = 0x1234500012345678ULL;

	(void)state;
	assert_int_equal(index_find(&bucket, hash), -1);
	index_replace(&bucket, 0, index_entry(hash, 0));
	assert_int_equal(index_find(&bucket, hash), 0);
	index_replace(&bucket, index_entry(hash, 0), index_entry(hash, (1 << TP_SLOT_BITS) - 1));
	assert_int_equal(index_find(&bucket, hash), (1 << TP_SLOT_BITS) - 1);
}

/* What real flows look like: neighbouring addresses, ports and channels. All find room. */
static void spreads(void **state)
{
	const __u32 flows = 2 * 4096, buckets = 1 << 11; /* as many as engine.c gives them */
	struct tp_bucket *table = calloc(buckets, sizeof(*table));
	const __u32 shift = 64 - 11;
	int second = 0;

	(void)state;
	assert_non_null(table);
	for (__u32 i = 0; i < flows; i++) {
		__u16 channel = bpf_htons(0x4000 + i % 512);
		__u64 hash = hash_of(0x0100000a0000000aULL + ((__u64)(i / 512) << 24),
				     (__u64)channel << 32 | 40000);
		struct tp_bucket *bucket = &table[index_bucket(hash, 0, shift)];
		__u32 entry = index_entry(hash, i);

		if (index_find(bucket, hash) < 0 && index_replace(bucket, 0, entry))
			continue;
		second++;
		bucket = &table[index_bucket(hash, 1, shift)];
		assert_int_equal(index_find(bucket, hash), -1);
		assert_true(index_replace(bucket, 0, entry));
	}
	assert_in_range(second, 0, flows / 20);
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_put),
		cmocka_unit_test(zero_tag),
		cmocka_unit_test(spreads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
