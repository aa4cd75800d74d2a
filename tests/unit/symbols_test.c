// SPDX-License-Identifier: GPL-2.0-only
/* Profiles, symbol maps and plans: with a small server that is compiled here, and with coturn. */
#include "tests/unit/test.h"
#include <errno.h>
#include "symbols/image.h"
#include "symbols/symbols.h"

#define STOCK	"/usr/bin/turnserver"
#define REBUILT "build/coturn/O2/turnserver"

static const char server[] =
	"#include <netinet/in.h>\n"
	"struct session { long id; struct sockaddr_in client, peer; int channel; char user[32]; "
	"};\n"
	"__attribute__((noinline)) int bind_channel(int unused, struct session *s)\n"
	"{ __asm__ volatile(\"\" :: \"r\"(s), \"r\"(unused) : \"memory\"); return unused; }\n"
	"__attribute__((noinline)) void drop_channel(struct session *s) { __asm__ volatile(\"\" :: "
	"\"r\"(s) : \"memory\"); }\n"
	"static struct session s;\n"
	"int main(int argc, char **argv) { (void)argv; drop_channel(&s); return bind_channel(argc, "
	"&s); }\n";

static const char profile[] =
	"server: tiny\n"
	"binary: server\n"
	"events:\n"
	"  - event: commit\n"
	"    required: true\n"
	"    sources:\n"
	"      - probes:\n"
	"          - {function: inlined_somewhere, at: entry, fields: {session: s->id}}\n"
	"      - probes:\n"
	"          - function: bind_channel\n"
	"            at: return\n"
	"            when: '== 0'\n"
	"            fields: {session: s->id, client: s->client, peer: s->peer, user: s->user}\n"
	"            checks:\n"
	"              - {expression: s->channel, is: '> 16383', else: state}\n"
	"  - event: retire\n"
	"    sources:\n"
	"      - probes: [{function: drop_channel, at: entry, fields: {session: s->id}}]\n";

static char why[SYMBOLS_WHY];

static int resolve_in(void **state, const char *name, bool no_map, struct symbols **ret)
{
	char path[TEST_PATH], maps[TEST_PATH];
	const struct symbols_options options = {
		.map_dir = {test_path(state, "maps", maps)},
		.profile_dir = {*state},
		.no_map = no_map,
	};
	struct image *image;
	int err;

	*ret = NULL;
	assert_int_equal(image_open(test_path(state, name, path), &image), 0);
	why[0] = '\0';
	err = symbols_resolve(image, &options, ret, why);
	image_close(image);
	return err;
}

static void refused(void **state, bool no_map, int err, const char *word)
{
	struct symbols *symbols;
	int got = resolve_in(state, "server", no_map, &symbols);

	if (got != err || !strstr(why, word))
		fail_msg("%d instead of %d, says: %s", got, err, why);
	assert_null(symbols);
	assert_null(strchr(why, '\n'));
}

/* Everything but where it came from. */
static void assert_same(const struct symbols *one, const struct symbols *other)
{
	assert_string_equal(one->server, other->server);
	assert_int_equal(one->events, other->events);
	for (unsigned int e = 0; e < one->events; e++) {
		const struct symbols_event *a = &one->event[e], *b = &other->event[e];

		assert_int_equal(a->kind, b->kind);
		assert_int_equal(a->required, b->required);
		assert_int_equal(a->probes, b->probes);
		for (unsigned int p = 0; p < a->probes; p++) {
			assert_string_equal(a->probe[p].function, b->probe[p].function);
			assert_int_equal(a->probe[p].offset, b->probe[p].offset);
			assert_memory_equal(&a->probe[p].plan, &b->probe[p].plan,
					    sizeof(struct tp_plan));
		}
	}
}

static void write_map(const struct symbols *symbols, const char *path)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_int_equal(symbols_write_map(symbols, out), 0);
	assert_int_equal(fclose(out), 0);
}

static const char *map_path(void **state, const char *build_id)
{
	static char path[TEST_PATH];
	char name[IMAGE_BUILD_ID_HEX + 16];

	snprintf(name, sizeof(name), "maps/%s.yaml", build_id);
	return test_path(state, name, path);
}

/* Replaces FROM, which must be there, by TO in the map. */
static void edit(const char *path, const char *from, const char *to)
{
	char command[3 * TEST_PATH];

	snprintf(command, sizeof(command), "grep -q '%s' %s && sed -i 's/%s/%s/' %s", from, path,
		 from, to, path);
	assert_int_equal(test_run(command), 0);
}

static int tiny(void **state)
{
	char command[2 * TEST_PATH];

	snprintf(command, sizeof(command), "rm -rf '%s'/* && mkdir '%s/maps'", (char *)*state,
		 (char *)*state);
	if (test_run(command))
		return -1;
	test_write(state, "server.c", server);
	test_write(state, "profile.yaml", profile);
	test_compile(state, "server", "-g -O2 -Wl,--build-id");
	return 0;
}

static void by_dwarf(void **state)
{
	const struct symbols_probe *probe;
	struct symbols *symbols;

	assert_int_equal(resolve_in(state, "server", false, &symbols), 0);
	assert_string_equal(symbols->origin, "dwarf");
	assert_int_equal(symbols->events, 2);
	assert_int_equal(symbols->event[0].kind, TP_EVENT_COMMIT);
	assert_true(symbols->event[0].required);
	assert_false(symbols->event[1].required);
	/* The first source wasn't to be had, and it says so. */
	assert_non_null(strstr(symbols->event[0].why, "inlined_somewhere: no such function"));
	probe = symbols->event[0].probe;
	assert_string_equal(probe->function, "bind_channel");
	assert_int_equal(probe->plan.flags, TP_PLAN_AT_RETURN);
	assert_int_equal(probe->plan.checks, 2);
	assert_int_equal(probe->plan.check[0].path.base, TP_BASE_RETURN);
	assert_int_equal(probe->plan.check[1].compare, TP_GT);
	assert_int_equal(probe->plan.check[1].value, 16383);
	assert_int_equal(probe->plan.check[1].refusal, TP_REFUSE_STATE);
	assert_int_equal(probe->plan.field[TP_FIELD_CLIENT].base, 1);
	assert_int_equal(probe->plan.field[TP_FIELD_CLIENT].offset[0], 8);
	assert_int_equal(probe->plan.field[TP_FIELD_USER].size, 32);
	symbols_free(symbols);
}

/* What is written is read back as the same plans; the map is taken before the DWARF. */
static void map_round_trip(void **state)
{
	struct symbols *dwarf, *map;

	assert_int_equal(resolve_in(state, "server", false, &dwarf), 0);
	write_map(dwarf, map_path(state, dwarf->build_id));
	if (resolve_in(state, "server", false, &map))
		fail_msg("%s", why);
	assert_string_equal(map->origin, "map");
	assert_same(dwarf, map);
	symbols_free(map);
	assert_int_equal(resolve_in(state, "server", true, &map), 0);
	assert_string_equal(map->origin, "dwarf");
	symbols_free(map);
	symbols_free(dwarf);
}

static void map_refused(void **state)
{
	static const struct {
		const char *from, *to;
		int err;
		const char *word;
	} cases[] = {
		{"^build_id: \"..", "build_id: \"zz", -ESTALE, "is for build-id zz"},
		{"code: \"..", "code: \"0f", -ESTALE, "the code of bind_channel at 0x"},
		{"code: \"..", "code: \"zz", -EINVAL, "make no sense"},
		{"offset: 0x", "offset: 0x7fffffff", -ESTALE, "the code of bind_channel"},
		{"read: sockaddr", "read: socket", -EINVAL, "socket"},
		{"is: \"== 0\"", "is: \"about 0\"", -EINVAL, "make no sense"},
		{"^events:", "things:", -EINVAL, "things"},
		{"path: \\[8\\]", "path: [1,2,3,4,5,6,7,8,9]", -EINVAL, "entries"},
		{"base: arg1", "base: arg9", -EINVAL, "arg9"},
		{"at: return", "at: noon", -EINVAL, "noon"},
		{"event: commit", "event: [", -EINVAL, "yaml"},
	};
	struct symbols *dwarf;
	const char *path;

	assert_int_equal(resolve_in(state, "server", true, &dwarf), 0);
	path = map_path(state, dwarf->build_id);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_map(dwarf, path);
		edit(path, cases[i].from, cases[i].to);
		refused(state, false, cases[i].err, cases[i].word);
		assert_non_null(strstr(why, path));
	}
	symbols_free(dwarf);
}

static void profile_refused(void **state)
{
	static const struct {
		const char *text;
		int err;
		const char *word;
	} cases[] = {
		{"", -EINVAL, "profile.yaml"},
		{"server: [", -EINVAL, "profile.yaml"},
		{"server: x\n", -EINVAL, "binary"},
		{"server: x\nbinary: server\nevents: []\n", -EINVAL, "entries"},
		{"server: x\nbinary: server\nevents: [{event: lunch, sources: []}]\n", -EINVAL,
		 "lunch"},
		{"&a server: *a\n", -EINVAL, "profile.yaml"},
		{"server: x\nbinary: other\nevents: [{event: retire, sources: [{probes: "
		 "[{function: f, at: entry, fields: {session: s}}]}]}]\n",
		 -ENOENT, "profile for"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		test_write(state, "profile.yaml", cases[i].text);
		refused(state, true, cases[i].err, cases[i].word);
	}
}

/* A profile that asks for what isn't there: the event has no source, and says why. */
static void unresolved(void **state)
{
	static const struct {
		const char *probe, *why;
	} cases[] = {
		{"{function: nobody, at: entry, fields: {session: s->id}}",
		 "nobody: no such function"},
		{"{function: bind_channel, at: entry, fields: {session: s->name}}",
		 "bind_channel: session `s->name`: struct session has no member `name`"},
		{"{function: bind_channel, at: entry, fields: {client: s->id}}", "socket address"},
		{"{function: bind_channel, at: entry, when: '== 0', fields: {session: s->id}}",
		 "at: return"},
		{"{function: bind_channel, at: return, when: 'is 0', fields: {session: s->id}}",
		 "no condition"},
		{"{function: bind_channel, at: entry, fields: {session: 's->'}}", "ends where"},
	};
	struct symbols *symbols;
	char text[1024];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text),
			 "server: x\nbinary: server\nevents:\n  - event: commit\n"
			 "    required: true\n    sources: [{probes: [%s]}]\n",
			 cases[i].probe);
		test_write(state, "profile.yaml", text);
		assert_int_equal(resolve_in(state, "server", true, &symbols), 0);
		assert_int_equal(symbols->event[0].probes, 0);
		if (!strstr(symbols->event[0].why, cases[i].why))
			fail_msg("says: %s", symbols->event[0].why);
		symbols_free(symbols);
	}
}

static void nothing_to_resolve_by(void **state)
{
	char command[2 * TEST_PATH];

	snprintf(command, sizeof(command), "strip '%s/server'", (char *)*state);
	assert_int_equal(test_run(command), 0);
	refused(state, false, -ENODATA, "no symbol map for this build");
}

/* For a stripped program of the same code a map can be made; for other code it can't. */
static void rebase(void **state)
{
	struct image *from, *to;
	struct symbols *symbols;
	char path[TEST_PATH];

	test_write(state, "twin.c", server);
	test_compile(state, "twin", "-O2 -s -Wl,--build-id=0x1234");
	test_write(state, "other.c", server);
	edit(test_path(state, "other.c", path), "int channel", "long channel, more");
	edit(path, "return unused", "s->channel = 1; return unused");
	test_compile(state, "other", "-O2 -s -Wl,--build-id");
	assert_int_equal(image_open(test_path(state, "server", path), &from), 0);
	assert_int_equal(resolve_in(state, "server", true, &symbols), 0);
	assert_int_equal(image_open(test_path(state, "other", path), &to), 0);
	assert_int_equal(symbols_rebase(symbols, from, to, why), -EINVAL);
	image_close(to);
	assert_int_equal(image_open(test_path(state, "twin", path), &to), 0);
	assert_int_equal(symbols_rebase(symbols, from, to, why), 0);
	assert_string_equal(symbols->build_id, "1234");
	image_close(to);
	image_close(from);
	write_map(symbols, map_path(state, "1234"));
	symbols_free(symbols);
	assert_int_equal(resolve_in(state, "twin", false, &symbols), 0);
	assert_int_equal(symbols->event[0].probes, 1);
	symbols_free(symbols);
}

/* Debian's stripped coturn by the shipped map, its rebuild by DWARF: the same plans. */
static void stock_map_equals_dwarf(void **state)
{
	const struct symbols_options options = {
		.map_dir = {"symbols/builds"},
		.profile_dir = {"symbols/profiles"},
	};
	struct symbols *map, *dwarf;
	struct image *image;

	(void)state;
	if (access(REBUILT, R_OK) || access(STOCK, R_OK))
		skip();
	assert_int_equal(image_open(STOCK, &image), 0);
	if (symbols_resolve(image, &options, &map, why)) {
		print_message("%s\n", why);
		image_close(image);
		skip(); /* another release's coturn */
	}
	image_close(image);
	assert_int_equal(image_open(REBUILT, &image), 0);
	assert_int_equal(symbols_resolve(image, &options, &dwarf, why), 0);
	image_close(image);
	assert_string_equal(map->origin, "map");
	assert_string_equal(dwarf->origin, "dwarf");
	assert_same(map, dwarf);
	symbols_free(map);
	symbols_free(dwarf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(by_dwarf, tiny),
		cmocka_unit_test_setup(map_round_trip, tiny),
		cmocka_unit_test_setup(map_refused, tiny),
		cmocka_unit_test_setup(profile_refused, tiny),
		cmocka_unit_test_setup(unresolved, tiny),
		cmocka_unit_test_setup(nothing_to_resolve_by, tiny),
		cmocka_unit_test_setup(rebase, tiny),
		cmocka_unit_test(stock_map_equals_dwarf),
	};

	return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
