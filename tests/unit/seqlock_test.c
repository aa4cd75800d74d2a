// SPDX-License-Identifier: GPL-2.0-only
#include "tests/unit/test.h"
#include <pthread.h>
#include "bpf/seqlock.h"

#define WRITES 200000
#define WORDS  8

static struct {
	__u32 sequence;
	__u64 word[WORDS]; /* a writer makes them all equal */
} record;
static int done;

static void reader_and_writer_rules(void **state)
{
	__u32 sequence = 0, begin;

	(void)state;
	begin = seq_begin(&sequence);
	assert_false(seq_retry(&sequence, begin));
	assert_true(seq_try_lock(&sequence));
	assert_true(seq_retry(&sequence, begin));
	assert_false(seq_try_lock(&sequence));
	assert_false(seq_lock(&sequence)); /* bounded: it doesn't wait for ever */
	assert_true(seq_retry(&sequence, seq_begin(&sequence)));
	seq_unlock(&sequence);
	assert_true(seq_retry(&sequence, begin));
	assert_false(seq_retry(&sequence, seq_begin(&sequence)));
	assert_int_equal(sequence, 2);
}

static void sequence_wraps(void **state)
{
	__u32 sequence = 0xfffffffe;

	(void)state;
	assert_true(seq_try_lock(&sequence));
	seq_unlock(&sequence);
	assert_int_equal(sequence, 0);
	assert_false(seq_retry(&sequence, 0));
}

static void *writer(void *value)
{
	__u64 next = (uintptr_t)value;

	for (int i = 0; i < WRITES; i++, next += 2) {
		while (!seq_lock(&record.sequence))
			;
		for (int w = 0; w < WORDS; w++)
			WRITE_ONCE(record.word[w], next);
		seq_unlock(&record.sequence);
	}
	return NULL;
}

static void *reader(void *torn)
{
	unsigned long good = 0;

	while (!READ_ONCE(done) || !good) {
		__u32 begin = seq_begin(&record.sequence);
		__u64 word[WORDS];

		for (int w = 0; w < WORDS; w++)
			word[w] = READ_ONCE(record.word[w]);
		if (seq_retry(&record.sequence, begin))
			continue;
		good++;
		for (int w = 1; w < WORDS; w++)
			if (word[w] != word[0])
				++*(unsigned long *)torn;
	}
	return (void *)good;
}

/* Two writers, two readers: who reads, reads a whole record. */
static void never_torn(void **state)
{
	pthread_t writers[2], readers[2];
	unsigned long torn[2] = {0, 0};
	void *good;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&readers[i], NULL, reader, &torn[i]), 0);
		assert_int_equal(pthread_create(&writers[i], NULL, writer, (void *)(uintptr_t)i),
				 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(writers[i], NULL);
	WRITE_ONCE(done, 1);
	for (int i = 0; i < 2; i++) {
		pthread_join(readers[i], &good);
		assert_true(good);
		assert_int_equal(torn[i], 0);
	}
	assert_int_equal(record.sequence, 2 * 2 * WRITES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reader_and_writer_rules),
		cmocka_unit_test(sequence_wraps),
		cmocka_unit_test(never_torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
