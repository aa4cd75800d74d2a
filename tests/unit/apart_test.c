// SPDX-License-Identifier: GPL-2.0-only
/*
 * The child that reads untrusted files: what it may not do, and what its parent makes of it when it
 * crashes, hangs or lies. symbols_resolve() in the child is the test's (--wrap).
 */
#include "tests/unit/test.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "symbols/apart.h"
#include "symbols/image.h"
#include "symbols/opener.h"
#include "symbols/result.h"

#define PROGRAM "/bin/true"

static void (*in_child)(struct image *image, char *why);
static char why[SYMBOLS_WHY];

int __wrap_symbols_resolve(struct image *image, const struct symbols_options *options,
			   struct symbols **ret, char *text);
int __wrap_symbols_resolve(struct image *image, const struct symbols_options *options,
			   struct symbols **ret, char *text)
{
	(void)options;
	(void)ret;
	in_child(image, text);
	return -ENODATA;
}

static int run(void (*what)(struct image *, char *), const struct symbols_options *options)
{
	struct symbols *symbols = NULL;
	struct image *image;
	int err;

	in_child = what;
	assert_int_equal(image_open_unread(PROGRAM, &image), 0);
	why[0] = '\0';
	err = apart_resolve(image, NULL, options, &symbols, why);
	if (err == -ENODATA)
		assert_true(strlen(image_build_id(image)) == 40);
	assert_null(symbols);
	image_close(image);
	return err;
}

static void crash(struct image *image, char *text)
{
	(void)image;
	(void)text;
	raise(SIGSEGV);
}

static void hang(struct image *image, char *text)
{
	for (volatile unsigned int i = 0;; i++)
		(void)image, (void)text;
}

static void sleep_on(struct image *image, char *text)
{
	struct opener opener = *image_opener(image);
	char buffer[8];

	(void)text;
	for (;;) /* nobody answers what wasn't asked */
		if (read(*(int *)opener.context, buffer, sizeof(buffer)) < 0)
			abort();
}

#ifndef __SANITIZE_ADDRESS__
static void eat_memory(struct image *image, char *text)
{
	size_t got = 0;

	(void)image;
	while (got < 4UL << 30 && malloc(1 << 20))
		got += 1 << 20;
	sprintf(text, "%s", got < APART_MEMORY ? "refused" : "had it all");
}
#endif

/* Every one of these must fail; the first that doesn't is named. */
static void try_all(struct image *image, char *text)
{
	int socket_fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)image;
	if (open("/etc/passwd", O_RDONLY) >= 0)
		strcpy(text, "opened a file");
	else if (socket_fd >= 0)
		strcpy(text, "made a socket");
	else if (!kill(getppid(), 0))
		strcpy(text, "signalled its parent");
	else if (fork() >= 0)
		strcpy(text, "forked");
	else if (geteuid() == 0 || getuid() == 0)
		strcpy(text, "is root");
	else if (!setuid(0))
		strcpy(text, "became root");
	else
		strcpy(text, "may do nothing");
}

static void ask(struct image *image, const char *path, char *ret)
{
	const struct opener *opener = image_opener(image);
	int fd = opener->open(opener->context, path);

	strcat(ret, fd >= 0 ? "y" : "n");
	if (fd >= 0)
		close(fd);
}

static void ask_for_files(struct image *image, char *text)
{
	char names[OPENER_LIST];
	const struct opener *opener = image_opener(image);

	ask(image, "/tmp/turnpike-apart-map/a.yaml", text);
	ask(image, "/tmp/turnpike-apart-map/b.yaml", text);
	ask(image, "/tmp/../tmp/turnpike-apart-map/a.yaml", text);
	ask(image, "/usr/bin/false", text); /* beside the program */
	ask(image, "/etc/passwd", text);
	ask(image, "/tmp/turnpike-apart-map/../../etc/passwd", text);
	ask(image, "/tmp/turnpike-apart-mapper", text);
	strcat(text, opener->list(opener->context, "/etc", names, sizeof(names)) ? "n" : "y");
	strcat(text, opener->list(opener->context, "/tmp/../tmp/turnpike-apart-map", names,
				  sizeof(names)) ||
				     strcmp(names, "a.yaml\n")
			     ? "n"
			     : "y");
}

static void lie(struct image *image, char *text)
{
	struct {
		uint32_t kind;
		char bytes[100];
	} packet = {.kind = 2};

	(void)text;
	memset(packet.bytes, 0x41, sizeof(packet.bytes));
	send(*(int *)image_opener(image)->context, &packet, sizeof(packet), 0);
	_exit(0);
}

static void contained(void **state)
{
	const struct symbols_options options = {};

	(void)state;
	assert_int_equal(run(crash, &options), -EBADMSG);
	assert_non_null(strstr(why, "crashed (signal 11)"));
	assert_int_equal(run(lie, &options), -EBADMSG);
	assert_non_null(strstr(why, "makes no sense"));
	assert_int_equal(run(hang, &options), -EBADMSG);
	if (!strstr(why, "more than 5 seconds"))
		fail_msg("%s", why);
	assert_int_equal(run(sleep_on, &options), -EBADMSG);
	if (!strstr(why, "more than 5 seconds"))
		fail_msg("%s", why);
#ifndef __SANITIZE_ADDRESS__
	assert_int_equal(run(eat_memory, &options), -ENODATA);
	assert_string_equal(why, "refused");
#endif
}

static void powerless(void **state)
{
	const struct symbols_options options = {};

	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(run(try_all, &options), -ENODATA);
	assert_string_equal(why, "may do nothing");
}

static void files(void **state)
{
	const struct symbols_options options = {
		.map_dir = {"/tmp/turnpike-apart-map"},
		.profile_dir = {"/tmp/../tmp/turnpike-apart-map"},
	};

	(void)state;
	assert_int_equal(
		test_run("mkdir -p -m 700 /tmp/turnpike-apart-map && "
			 "touch /tmp/turnpike-apart-map/a.yaml /tmp/turnpike-apart-mapper"),
		0);
	assert_int_equal(run(ask_for_files, &options), -ENODATA);
	test_run("rm -r /tmp/turnpike-apart-map /tmp/turnpike-apart-mapper");
	/* The file that is there, none that isn't, the neighbour; nothing elsewhere. */
	assert_string_equal(why, "ynyynnnny");
}

/* Whatever bytes come back, what is taken is within its limits. */
static void noise(void **state)
{
	static char good[1 << 16], bad[1 << 16];
	struct symbols_probe probe = {.function = "f", .plan.kind = TP_EVENT_RETIRE};
	struct symbols_source source = {"f", ""};
	struct symbols_event event = {.kind = TP_EVENT_RETIRE,
				      .probe = &probe,
				      .probes = 1,
				      .why = "",
				      .source = &source,
				      .sources = 1};
	struct symbols symbols = {.server = "s",
				  .build_id = "",
				  .origin = "dwarf",
				  .made_from = "",
				  .origin_path = "p",
				  .event = &event,
				  .events = 1};
	struct result result = {.symbols = &symbols}, got;
	unsigned int taken = 0;
	size_t length;
	FILE *file = fmemopen(good, sizeof(good), "w");

	(void)state;
	assert_int_equal(result_write(&result, file), 0);
	length = (size_t)ftell(file);
	fclose(file);
	for (int round = 0; round < 20000; round++) {
		memcpy(bad, good, length);
		for (int i = 0; round && i < 1 + round % 4; i++)
			bad[(size_t)rand() % length] = (char)rand();
		file = fmemopen(bad, length, "r");
		if (!result_read(file, &got)) {
			for (unsigned int e = 0; got.symbols && e < got.symbols->events; e++)
				for (unsigned int p = 0; p < got.symbols->event[e].probes; p++)
					assert_true(
						got.symbols->event[e].probe[p].plan.field[0].base <
						TP_BASES);
			taken += got.symbols != NULL;
			symbols_free(got.symbols);
		}
		fclose(file);
		if (!round)
			assert_int_equal(taken, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contained),
		cmocka_unit_test(powerless),
		cmocka_unit_test(files),
		cmocka_unit_test(noise),
	};

	srand(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
