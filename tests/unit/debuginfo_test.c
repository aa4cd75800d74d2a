// SPDX-License-Identifier: GPL-2.0-only
/*
 * DWARF resolution against a program that is compiled here, in several ways.
 * Expected offsets are the compiler's own: the program prints them.
 */
#include "tests/unit/test.h"
#include <errno.h>
#include "symbols/debuginfo.h"
#include "symbols/image.h"

static const char program[] =
	"#include <stddef.h>\n"
	"#include <stdint.h>\n"
	"#include <stdio.h>\n"
	"#include <netinet/in.h>\n"
	"typedef union { struct sockaddr_in v4; struct sockaddr_in6 v6; } address;\n"
	"enum color { RED, GREEN };\n"
	"struct opaque;\n"
	"struct inner { char pad[3]; int32_t number; union { uint16_t half; uint64_t whole; }; };\n"
	"typedef struct { uint8_t tag; struct inner in[4]; struct inner *next; struct { short "
	"deep; } a; } outer;\n"
	"typedef outer *const handle;\n"
	"struct root {\n"
	"	outer o; outer *p; void *any; unsigned three : 3; unsigned long id; char "
	"name[300]; char *text;\n"
	"	address from; address *to; enum color c; double d; struct opaque *hidden; int "
	"grid[2][2];\n"
	"	struct root *self; void (*call)(void);\n"
	"};\n"
	"#define OUT __attribute__((noinline, noclone))\n"
	"OUT int entry(struct root *r, handle h, uint16_t small, char *s)\n"
	"{ __asm__ volatile(\"\" :: \"r\"(r), \"r\"(h), \"r\"((int)small), \"r\"(s) : \"memory\"); "
	"return small; }\n"
	"OUT void floats(double d, struct root *after)\n"
	"{ __asm__ volatile(\"\" :: \"x\"(d), \"r\"(after) : \"memory\"); }\n"
	"struct big { long l[4]; }; struct small { long l; };\n"
	"OUT void by_value(struct big b, struct small v, int after)\n"
	"{ __asm__ volatile(\"\" :: \"r\"(b.l[0]), \"r\"(v.l), \"r\"(after) : \"memory\"); }\n"
	"OUT void many(long a, long b, long c, long d, long e, long f, long seventh)\n"
	"{ __asm__ volatile(\"\" :: \"r\"(a), \"r\"(b), \"r\"(c), \"r\"(d), \"r\"(e), \"r\"(f), "
	"\"r\"(seventh) : \"memory\"); }\n"
	"static inline __attribute__((always_inline)) int inlined(int x) { return x * 3; }\n"
	"static __attribute__((noinline)) int dropped(int unused, int used) { (void)unused; "
	"__asm__ volatile(\"\" :: \"r\"(used) : \"memory\"); return used; }\n"
	"struct opaque { int first; int second; };\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	static struct root r; struct big b = {{0}}; struct small v = {0};\n"
	"	(void)argv; entry(&r, &r.o, argc, r.text); floats(argc, &r); by_value(b, v, 1);\n"
	"	many(1, 2, 3, 4, 5, 6, 7); dropped(argc, inlined(argc)); dropped(1, inlined(argc + "
	"5));\n"
	"	printf(\"%zu %zu %zu %zu %zu %zu %zu\\n\", offsetof(struct root, id), "
	"offsetof(outer, in), sizeof(struct inner),\n"
	"	       offsetof(struct inner, whole), offsetof(struct root, from), offsetof(struct "
	"root, hidden),\n"
	"	       offsetof(struct root, name));\n"
	"	return 0;\n"
	"}\n";

static const char *const flags[] = {
	"-g -O2 -fPIE -pie", "-g -O2 -fno-pie -no-pie",	     "-g -O0", "-gdwarf-4 -O2",
	"-g -O3 -flto",	     "-g -O1 -fdebug-types-section",
};

struct build {
	struct image *image;
	struct debuginfo *info;
	unsigned int id, in, inner, whole, from, hidden, name; /* as the program prints them */
};

static struct build build;
static char why[256];

static void open_build(void **state)
{
	char path[TEST_PATH];
	FILE *out;

	assert_int_equal(image_open(test_path(state, "program", path), &build.image), 0);
	assert_int_equal(debuginfo_open(build.image, NULL, &build.info), 0);
	out = popen(path, "r");
	assert_non_null(out);
	assert_int_equal(fscanf(out, "%u %u %u %u %u %u %u", &build.id, &build.in, &build.inner,
				&build.whole, &build.from, &build.hidden, &build.name),
			 7);
	pclose(out);
}

static void close_build(void)
{
	debuginfo_close(build.info);
	image_close(build.image);
	memset(&build, 0, sizeof(build));
}

static int sites(const char *name, enum debuginfo_wanted wanted, struct debuginfo_function **ret,
		 unsigned int *ret_count)
{
	return debuginfo_sites(build.info, name, wanted, ret, ret_count, why, sizeof(why));
}

static struct debuginfo_function *function(const char *name)
{
	struct debuginfo_function *found[DEBUGINFO_SITES];
	unsigned int count;

	if (sites(name, DEBUGINFO_RETURNS, found, &count))
		fail_msg("%s: %s", name, why);
	assert_int_equal(count, 1);
	return found[0];
}

/* Expects base, number of offsets and how it is read; returns the path for its offsets. */
static struct tp_path path_of(const char *in, const char *expression, enum tp_read want, int base,
			      int count, enum tp_read read)
{
	struct tp_path path = {};

	if (debuginfo_expression(function(in), expression, want, &path, why, sizeof(why)))
		fail_msg("%s: %s", expression, why);
	assert_int_equal(path.base, base);
	assert_int_equal(path.count, count);
	assert_int_equal(path.read, read);
	return path;
}

static void refused(const char *in, const char *expression, enum tp_read want, int err,
		    const char *word)
{
	struct tp_path path;

	int got = debuginfo_expression(function(in), expression, want, &path, why, sizeof(why));

	if (got != err || !strstr(why, word))
		fail_msg("`%s`: %d, says: %s", expression, got, why);
}

static void check_paths(void)
{
	struct tp_path path;

	path = path_of("entry", "r->id", TP_READ_NONE, 0, 1, TP_READ_U64);
	assert_int_equal(path.offset[0], build.id);
	path = path_of("entry", "r->o.in[2].number", TP_READ_NONE, 0, 1, TP_READ_U32);
	assert_int_equal(path.offset[0], build.in + 2 * build.inner + 4);
	/* Through a typedef of a const pointer, a pointer, and an anonymous union. */
	path = path_of("entry", "h->next->half", TP_READ_NONE, 1, 2, TP_READ_U16);
	assert_int_equal(path.offset[1], build.whole);
	path_of("entry", "h->next[1].whole", TP_READ_NONE, 1, 2, TP_READ_U64);
	path_of("entry", "r->o.a.deep", TP_READ_NONE, 0, 1, TP_READ_U16);
	path_of("entry", "small", TP_READ_NONE, 2, 0, TP_READ_U16);
	path_of("entry", "r->c", TP_READ_NONE, 0, 1, TP_READ_U32);
	path_of("entry", "r", TP_READ_NONE, 0, 0, TP_READ_U64);
	path_of("entry", "return", TP_READ_NONE, TP_BASE_RETURN, 0, TP_READ_U32);
	path_of("floats", "after->id", TP_READ_NONE, 0, 1, TP_READ_U64);
	path = path_of("entry", "r->self->self->self->id", TP_READ_NONE, 0, 4, TP_READ_U64);
	assert_int_equal(path.offset[3], build.id);
}

static void check_casts(void)
{
	struct tp_path path;

	path = path_of("entry", "((outer *)r->any)->tag", TP_READ_NONE, 0, 2, TP_READ_U8);
	assert_int_equal(path.offset[1], 0);
	path_of("entry", "((struct inner *)r->any)[1].number", TP_READ_NONE, 0, 2, TP_READ_U32);
	path_of("entry", "*(int *)r->any", TP_READ_NONE, 0, 2, TP_READ_U32);
	path_of("entry", "(unsigned char)r->id", TP_READ_NONE, 0, 1, TP_READ_U8);
	path_of("entry", "((handle)r->any)->tag", TP_READ_NONE, 0, 2, TP_READ_U8);
	path_of("entry", "(&r->o)->tag", TP_READ_NONE, 0, 1, TP_READ_U8);
	/* An array is a pointer to its first element. */
	path = path_of("entry", "((struct inner *)r->name)->number", TP_READ_NONE, 0, 1,
		       TP_READ_U32);
	assert_int_equal(path.offset[0], build.name + 4);
	/* Declared only where it is pointed to, defined later. */
	path = path_of("entry", "r->hidden->second", TP_READ_NONE, 0, 2, TP_READ_U32);
	assert_int_equal(path.offset[0], build.hidden);
	assert_int_equal(path.offset[1], 4);
}

static void check_wholes(void)
{
	struct tp_path path;

	path = path_of("entry", "r->from", TP_READ_SOCKADDR, 0, 1, TP_READ_SOCKADDR);
	assert_int_equal(path.offset[0], build.from);
	path_of("entry", "*r->to", TP_READ_SOCKADDR, 0, 2, TP_READ_SOCKADDR);
	path = path_of("entry", "r->name", TP_READ_STRING, 0, 1, TP_READ_STRING);
	assert_int_equal(path.size, 255);
	path = path_of("entry", "r->text", TP_READ_STRING, 0, 2, TP_READ_STRING);
	path_of("entry", "s", TP_READ_STRING, 3, 1, TP_READ_STRING);
	refused("entry", "r->id", TP_READ_SOCKADDR, -EINVAL, "not a socket address");
	refused("entry", "r->to", TP_READ_SOCKADDR, -EINVAL, "not a socket address");
	refused("entry", "r->id", TP_READ_STRING, -EINVAL, "no pointer");
	refused("entry", "r->p", TP_READ_STRING, -EINVAL, "not a character");
}

static void check_refusals(void)
{
	refused("entry", "r->three", TP_READ_NONE, -ENOTSUP, "bit-field");
	refused("entry", "r->nothing", TP_READ_NONE, -ENOENT, "no member `nothing`");
	refused("entry", "nobody->id", TP_READ_NONE, -ENOENT, "no parameter `nobody`");
	refused("entry", "((nothing *)r)->id", TP_READ_NONE, -ENOENT, "no type `nothing`");
	refused("entry", "r->o", TP_READ_NONE, -EINVAL, "not a number");
	refused("entry", "r->d", TP_READ_NONE, -EINVAL, "not a number");
	refused("entry", "r.id", TP_READ_NONE, -EINVAL, "no place");
	refused("entry", "r->id->x", TP_READ_NONE, -EINVAL, "no pointer");
	refused("entry", "r->any->x", TP_READ_NONE, -EINVAL, "no struct");
	refused("entry", "&r->id", TP_READ_NONE, -EINVAL, "leave out the `&`");
	refused("entry", "r->o.in[4].number", TP_READ_NONE, -EINVAL, "past the array's end");
	refused("entry", "r->p[999999999].tag", TP_READ_NONE, -EINVAL, "too large");
	refused("entry", "r->grid[0]", TP_READ_NONE, -ENOTSUP, "arrays of arrays");
	refused("entry", "*r->any", TP_READ_NONE, -EINVAL, "not a number");
	refused("entry", "(long)r->c", TP_READ_NONE, -EINVAL, "wider");
	refused("entry", "(outer)r->p", TP_READ_NONE, -EINVAL, "cast");
	refused("entry", "*******r->self", TP_READ_NONE, -EINVAL, "no pointer");
	refused("entry", "r->self->self->self->self->self->self->self->self->self->id",
		TP_READ_NONE, -E2BIG, "pointers in a row");
	refused("entry", "r->", TP_READ_NONE, -EINVAL, "ends");
	refused("by_value", "after", TP_READ_NONE, -ENOTSUP, "struct by value");
	refused("many", "seventh", TP_READ_NONE, -ENOTSUP, "register of its own");
	refused("floats", "d", TP_READ_NONE, -ENOTSUP, "register of its own");
}

static void resolves(void **state)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		print_message("%s\n", flags[i]);
		test_compile(state, "program", flags[i]);
		open_build(state);
		check_paths();
		check_casts();
		check_wholes();
		check_refusals();
		close_build();
	}
}

/* Entries and file offsets are those that the symbol table has. */
static void entries(void **state)
{
	char command[2 * TEST_PATH];

	for (size_t i = 0; i < 2; i++) {
		unsigned long long expected;
		uint64_t address, offset;
		uint8_t code[4];
		FILE *nm;

		test_compile(state, "program", flags[i]);
		open_build(state);
		snprintf(command, sizeof(command), "nm '%s' | sed -n 's/ T entry$//p'",
			 image_path(build.image));
		nm = popen(command, "r");
		assert_non_null(nm);
		assert_int_equal(fscanf(nm, "%llx", &expected), 1);
		pclose(nm);
		address = debuginfo_function_entry(function("entry"));
		assert_int_equal(address, expected);
		assert_int_equal(image_file_offset(build.image, address, &offset), 0);
		assert_true(i ? offset != address : offset == address);
		assert_int_equal(image_code(build.image, offset, code, sizeof(code)), 0);
		assert_int_equal(image_code(build.image, 1ULL << 40, code, 1), -ERANGE);
		assert_int_equal(image_file_offset(build.image, 0, &offset), -ERANGE);
		close_build();
	}
}

static void explains_functions(void **state)
{
	struct debuginfo_function *found[DEBUGINFO_SITES];
	struct tp_path path;
	unsigned int count;

	test_compile(state, "program", "-g -O2");
	open_build(state);
	assert_int_equal(sites("inlined", DEBUGINFO_OUT_OF_LINE, found, &count), -ENOTSUP);
	assert_string_equal(why, "inlined at 2 sites");
	assert_int_equal(sites("inlined", DEBUGINFO_RETURNS, found, &count), -ENOTSUP);
	assert_non_null(strstr(why, "where its return isn't to be seen"));
	assert_int_equal(sites("inlined", DEBUGINFO_ENTRIES, found, &count), 0);
	assert_int_equal(count, 2);
	assert_string_equal(debuginfo_function_within(found[0]), "main");
	assert_int_equal(sites("nothing", DEBUGINFO_ENTRIES, found, &count), -ENOENT);
	assert_non_null(strstr(why, "no such function"));
	assert_int_equal(sites("entry.part", DEBUGINFO_ENTRIES, found, &count), -ENOENT);
	assert_non_null(strstr(why, "no such clone"));
	/* gcc clones it without its first parameter: the second one is in the first register. */
	assert_int_equal(debuginfo_expression(function("dropped"), "used", TP_READ_NONE, &path, why,
					      sizeof(why)),
			 0);
	assert_int_equal(path.base, 0);
	refused("dropped", "unused", TP_READ_NONE, -ENOTSUP, "left out");
	assert_non_null(strstr(debuginfo_producer(build.info), "GNU C"));
	close_build();
}

/* Stripped, with the DWARF in a file beside it that .gnu_debuglink names. */
static void separate_file(void **state)
{
	char command[3 * TEST_PATH];

	test_compile(state, "program", "-g -O2");
	snprintf(command, sizeof(command),
		 "cd '%s' && objcopy --only-keep-debug program program.debug && "
		 "objcopy --strip-all --add-gnu-debuglink=program.debug program",
		 (char *)*state);
	assert_int_equal(test_run(command), 0);
	open_build(state);
	assert_non_null(strstr(debuginfo_path(build.info), "program.debug"));
	check_paths();
	close_build();
	/* The debug file of another build is not taken. */
	test_compile(state, "program", "-g -O1 -DOTHER");
	snprintf(command, sizeof(command),
		 "cd '%s' && objcopy --strip-all --add-gnu-debuglink=program.debug program",
		 (char *)*state);
	assert_int_equal(test_run(command), 0);
	assert_int_equal(image_open(test_path(state, "program", command), &build.image), 0);
	assert_int_equal(debuginfo_open(build.image, NULL, &build.info), -ENODATA);
	image_close(build.image);
}

static void no_programs(void **state)
{
	char path[TEST_PATH];
	struct image *image;

	test_write(state, "empty", "");
	test_write(state, "text", "not a program\n");
	assert_int_equal(image_open(test_path(state, "empty", path), &image), -ENOEXEC);
	assert_int_equal(image_open(test_path(state, "text", path), &image), -ENOEXEC);
	assert_int_equal(image_open(test_path(state, "none", path), &image), -ENOENT);
	assert_int_equal(image_open("/tmp", &image), -ENOEXEC);
}

/* Cut short or with bytes changed: an error or an answer, never a crash or a hang. */
static void damaged(void **state)
{
	char from[TEST_PATH], to[TEST_PATH];
	struct debuginfo_function *found[DEBUGINFO_SITES];
	unsigned int sites_found;
	struct tp_path path;
	static uint8_t bytes[1 << 20];
	size_t length;
	FILE *file;

	test_compile(state, "program", "-g -O2");
	file = fopen(test_path(state, "program", from), "r");
	assert_non_null(file);
	length = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	test_path(state, "damaged", to);
	for (int round = 0; round < 300; round++) {
		uint8_t copy[sizeof(bytes)];
		size_t end = round % 3 ? length : (size_t)rand() % length;

		memcpy(copy, bytes, length);
		for (int i = 0; round % 3 && i < 200; i++)
			copy[(size_t)rand() % length] = rand();
		file = fopen(to, "w");
		assert_non_null(file);
		fwrite(copy, 1, end, file);
		fclose(file);
		if (image_open(to, &build.image))
			continue;
		if (!debuginfo_open(build.image, NULL, &build.info)) {
			if (!sites("entry", DEBUGINFO_ENTRIES, found, &sites_found))
				debuginfo_expression(found[0], "((outer *)r->any)->in[1].number",
						     TP_READ_NONE, &path, why, sizeof(why));
			debuginfo_close(build.info);
		}
		image_close(build.image);
	}
	build = (struct build){};
}

static int write_program(void **state)
{
	if (test_setup(state))
		return -1;
	test_write(state, "program.c", program);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_programs),	 cmocka_unit_test(resolves),
		cmocka_unit_test(entries),	 cmocka_unit_test(explains_functions),
		cmocka_unit_test(separate_file), cmocka_unit_test(damaged),
	};

	srand(1);
	return cmocka_run_group_tests(tests, write_program, test_teardown);
}
