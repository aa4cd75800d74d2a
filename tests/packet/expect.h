/* SPDX-License-Identifier: GPL-2.0-only */
/* What tests of the loaded program say of it, in cmocka's terms. */
#ifndef TURNPIKE_TESTS_EXPECT_H
#define TURNPIKE_TESTS_EXPECT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tests/packet/frame.h"

static inline uint64_t expect_counter(const struct engine *engine, enum tp_counter which)
{
	__u64 all[TP_COUNTERS];

	assert_int_equal(engine_counters(engine, all), 0);
	return all[which];
}

/* It passes, untouched, and the reason is counted once. */
static inline void expect_passed(struct engine *engine, const struct frame *frame,
				 enum tp_counter reason)
{
	uint64_t before = expect_counter(engine, reason);
	struct frame result;

	assert_int_equal(frame_run(engine, frame, &result), XDP_PASS);
	assert_int_equal(result.length, frame->length);
	assert_memory_equal(result.byte, frame->byte, frame->length);
	assert_int_equal(expect_counter(engine, reason), before + 1);
}

#endif
