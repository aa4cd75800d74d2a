// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel tells of a process: its end, its crash, another program in its place; and of
 * nobody else's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bpf/compiler.h"
#include "src/engine.h"
#include "src/watch.h"

static struct engine engine;
static struct watch watch;

static int load(void **state)
{
	(void)state;
	return engine_load(&engine, 64) || watch_start(&watch, &engine, WATCH_SOCK_DIAG);
}

static int unload(void **state)
{
	(void)state;
	watch_stop(&watch);
	engine_free(&engine);
	return 0;
}

/* A child that is the server, and does ACT once it is told to. */
struct child {
	pid_t pid;
	int go;
};

static struct child child_of(void (*act)(void))
{
	struct rlimit none = {};
	struct child child;
	int pipes[2];
	char byte;

	assert_int_equal(pipe(pipes), 0);
	child.pid = fork();
	if (!child.pid) {
		setrlimit(RLIMIT_CORE, &none);
		close(pipes[1]);
		if (read(pipes[0], &byte, 1) == 1)
			act();
		pause();
		_exit(0);
	}
	close(pipes[0]);
	child.go = pipes[1];
	WRITE_ONCE(engine.config->live[0], child.pid);
	return child;
}

static void child_goes(struct child *child)
{
	assert_int_equal(write(child->go, "x", 1), 1);
	close(child->go);
}

static void child_ends(struct child *child)
{
	kill(child->pid, SIGKILL);
	assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
}

/* True once WHAT was seen more than BEFORE times; false after ten seconds. */
static int comes(enum tp_seen what, uint64_t before)
{
	for (int i = 0; i < 1000 && watch_seen(&watch, what) == before; i++)
		usleep(10000);
	return watch_seen(&watch, what) > before;
}

static void act_exit(void)
{
	_exit(0);
}

static void act_exec(void)
{
	execl("/bin/sleep", "sleep", "60", NULL);
}

static void act_abort(void)
{
	abort();
}

static void ignore(int signal)
{
	(void)signal;
}

static void act_handled(void)
{
	signal(SIGQUIT, ignore);
	raise(SIGQUIT);
	raise(SIGCHLD);
}

static void *end_of_thread(void *data)
{
	return data;
}

static void act_thread(void)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, end_of_thread, NULL))
		pthread_join(thread, NULL);
}

static void is_gone(void (*act)(void), enum tp_seen what)
{
	uint64_t before = watch_seen(&watch, what);
	struct child child = child_of(act);

	child_goes(&child);
	assert_true(comes(what, before));
	assert_int_equal(READ_ONCE(engine.config->live[0]), 0);
	child_ends(&child);
}

static void test_exit(void **state)
{
	(void)state;
	is_gone(act_exit, TP_SEEN_EXIT);
}

static void test_exec(void **state)
{
	(void)state;
	is_gone(act_exec, TP_SEEN_EXEC);
}

static void test_crash(void **state)
{
	(void)state;
	is_gone(act_abort, TP_SEEN_CRASH);
}

static void test_killed(void **state)
{
	uint64_t before = watch_seen(&watch, TP_SEEN_EXIT);
	struct child child = child_of(act_exit);

	(void)state;
	child_ends(&child);
	close(child.go);
	assert_int_equal(watch_seen(&watch, TP_SEEN_EXIT), before + 1);
	assert_int_equal(READ_ONCE(engine.config->live[0]), 0);
}

/* A signal that is handled, a thread that ends: the server goes on. */
static void goes_on(void (*act)(void))
{
	struct child child = child_of(act);

	child_goes(&child);
	usleep(200000);
	assert_int_equal(READ_ONCE(engine.config->live[0]), child.pid);
	child_ends(&child);
}

static void test_handled_signal(void **state)
{
	(void)state;
	goes_on(act_handled);
}

static void test_thread(void **state)
{
	(void)state;
	goes_on(act_thread);
}

/* Other processes end all the time. */
static void test_others(void **state)
{
	struct child child = child_of(act_thread), other;

	(void)state;
	other = child_of(act_exit);
	WRITE_ONCE(engine.config->live[0], child.pid);
	child_ends(&other);
	close(other.go);
	assert_int_equal(READ_ONCE(engine.config->live[0]), child.pid);
	child_ends(&child);
	close(child.go);
}

/* In jiffies from now; none before the first. */
static void test_lease(void **state)
{
	uint64_t first, second;

	(void)state;
	assert_int_equal(watch_renew(&watch, 10), 0);
	first = READ_ONCE(engine.config->lease);
	assert_int_equal(watch_renew(&watch, 20), 0);
	second = READ_ONCE(engine.config->lease);
	assert_true(first < second && second < UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit),   cmocka_unit_test(test_exec),
		cmocka_unit_test(test_crash),  cmocka_unit_test(test_killed),
		cmocka_unit_test(test_thread), cmocka_unit_test(test_handled_signal),
		cmocka_unit_test(test_others), cmocka_unit_test(test_lease),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
