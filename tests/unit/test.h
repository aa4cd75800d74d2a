/* SPDX-License-Identifier: GPL-2.0-only */
/* What the unit tests share: cmocka's includes and temporary files. */
#ifndef TURNPIKE_TESTS_UNIT_TEST_H
#define TURNPIKE_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define TEST_PATH 256

/* A folder of the test's own, as the group's state; removed by test_teardown(). */
static inline int test_setup(void **state)
{
	char name[] = "/tmp/turnpike-test-XXXXXX";

	if (!mkdtemp(name))
		return -1;
	*state = strdup(name);
	return *state ? 0 : -1;
}

static inline int test_run(const char *command)
{
	return system(command);
}

static inline int test_teardown(void **state)
{
	char command[TEST_PATH + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
	free(*state);
	return test_run(command);
}

/* PATH (of TEST_PATH bytes) of NAME in the folder. */
static inline const char *test_path(void **state, const char *name, char *path)
{
	snprintf(path, TEST_PATH, "%s/%s", (char *)*state, name);
	return path;
}

static inline void test_write(void **state, const char *name, const char *text)
{
	char path[TEST_PATH];
	FILE *file = fopen(test_path(state, name, path), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Compiles the file NAME.c of the folder to NAME with FLAGS. */
static inline void test_compile(void **state, const char *name, const char *flags)
{
	char command[3 * TEST_PATH];

	snprintf(command, sizeof(command), "cd '%s' && gcc %s -o %s %s.c", (char *)*state, flags,
		 name, name);
	assert_int_equal(test_run(command), 0);
}

#endif
