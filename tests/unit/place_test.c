// SPDX-License-Identifier: GPL-2.0-only
/*
 * Are parameters where DWARF is said to tell? Programs are compiled here in several ways, and
 * run to each place that is found; there the path is followed through the stopped program's
 * registers and memory, and must end at the number that its functions are called with.
 */
#include "tests/unit/test.h"
#include <errno.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include "symbols/debuginfo.h"
#include "symbols/entry.h"
#include "symbols/image.h"

#define MAGIC 0x600dcafe12345678L
#define PLACE "0x600dcafe12345678L"

static const char program[] =
	"struct item { long pad; long magic; struct item *next; };\n"
	"#define OUT __attribute__((noinline, noclone))\n"
	"static int sum;\n"
	"static inline __attribute__((always_inline)) void touch(struct item *it, int n)\n"
	"{ sum += n; __asm__ volatile(\"\" :: \"r\"(it), \"r\"(n) : \"memory\"); "
	"sum += it->magic != " PLACE "; }\n"
	"static __attribute__((noinline)) int plain(int unused, struct item *it)\n"
	"{ (void)unused; __asm__ volatile(\"\" :: \"r\"(it) : \"memory\"); return it->magic == 3; "
	"}\n"
	"OUT void direct(struct item *p) { touch(p, 1); }\n"
	"OUT void late(int a, struct item *p) { for (int i = 0; i < a; i++) { sum ^= i; "
	"__asm__ volatile(\"\" ::: \"rax\", \"rcx\", \"rdx\", \"rsi\", \"rdi\", \"memory\"); } "
	"touch(p, a); "
	"sum += plain(a, p); }\n"
	"OUT void next(struct item *p) { touch(p->next, 2); touch(p->next->next, 3); }\n"
	"OUT void stack(void) { struct item own = {0, " PLACE ", 0}; "
	"__asm__ volatile(\"\" :: \"r\"(&own) : \"memory\"); touch(&own, 4); }\n"
	"OUT int checked(struct item *it) { if (!it) return 1; direct(it); return it->magic == 3; "
	"}\n"
	"OUT int main(int argc, char **argv)\n"
	"{ static struct item a, b, c; (void)argv; a = (struct item){0, " PLACE ", &b};\n"
	"b = (struct item){0, " PLACE ", &c}; c = (struct item){0, " PLACE ", &a};\n"
	"checked(&a); direct(&a); late(argc, &b); next(&c); stack(); return plain(argc, &a); }\n";

static const char *const compilers[] = {
	"gcc -g -O0",
	"gcc -g -O1",
	"gcc -g -O2",
	"gcc -g -O3 -flto",
	"gcc -g -Os",
	"gcc -gdwarf-4 -O2 -fno-omit-frame-pointer",
	"gcc -g -O2 -no-pie",
	"clang -Wno-unknown-attributes -g -O2",
	"clang -Wno-unknown-attributes -gdwarf-4 -O1",
};

static pid_t spawn(const char *path)
{
	pid_t child = fork();
	int status;

	if (!child) {
		personality(ADDR_NO_RANDOMIZE);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execl(path, path, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSTOPPED(status));
	return child;
}

/* Where the program was loaded, less where it says it wants to be. */
static unsigned long load_bias(pid_t child, const struct image *image, uint64_t address)
{
	char path[64];
	unsigned long begin;
	uint64_t offset;
	FILE *maps;

	assert_int_equal(image_file_offset(image, address, &offset), 0);
	snprintf(path, sizeof(path), "/proc/%d/maps", child);
	maps = fopen(path, "r");
	assert_non_null(maps);
	assert_int_equal(fscanf(maps, "%lx", &begin), 1);
	fclose(maps);
	return begin - (address - offset > 0x1000 ? address - offset : 0);
}

static uint64_t base_value(const struct user_regs_struct *regs, unsigned int base)
{
	const uint64_t arguments[] = {regs->rdi, regs->rsi, regs->rdx,
				      regs->rcx, regs->r8,  regs->r9};

	/* user_regs_struct is struct pt_regs and more. */
	return base < TP_BASE_RETURN ? arguments[base]
				     : ((const unsigned long long *)regs)[base - TP_BASE_REGISTERS];
}

static uint64_t follow(pid_t child, const struct user_regs_struct *regs, const struct tp_path *path)
{
	uint64_t at = base_value(regs, path->base);

	for (unsigned int i = 0; i < path->count; i++) {
		if (i)
			at = (uint64_t)ptrace(PTRACE_PEEKDATA, child, at, NULL);
		at += (int64_t)path->offset[i];
	}
	return path->count ? (uint64_t)ptrace(PTRACE_PEEKDATA, child, at, NULL) : at;
}

/* Runs the program until it comes to ADDRESS, and reads PATH there. */
static uint64_t value_at(const struct image *image, uint64_t address, const struct tp_path *path)
{
	pid_t child = spawn(image_path(image));
	unsigned long at = address + load_bias(child, image, address);
	struct user_regs_struct regs;
	uint64_t value;
	int status;

	errno = 0;
	value = (uint64_t)ptrace(PTRACE_PEEKTEXT, child, at, NULL);
	assert_int_equal(errno, 0);
	assert_int_equal(ptrace(PTRACE_POKETEXT, child, at, (value & ~0xffUL) | 0xcc), 0);
	ptrace(PTRACE_CONT, child, NULL, NULL);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
		fail_msg("it never came to 0x%lx", (unsigned long)address);
	ptrace(PTRACE_GETREGS, child, NULL, &regs);
	value = follow(child, &regs, path);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return value;
}

static unsigned int stops_later;

static unsigned int check_function(struct image *image, struct debuginfo *info, const char *name)
{
	struct debuginfo_function *site[DEBUGINFO_SITES];
	unsigned int count, held = 0;
	char why[256] = "";

	if (debuginfo_sites(info, name, DEBUGINFO_ENTRIES, site, &count, why, sizeof(why)))
		fail_msg("%s: %s", name, why);
	for (unsigned int i = 0; i < count; i++) {
		uint64_t address = debuginfo_function_entry(site[i]), value;
		bool within = debuginfo_function_within(site[i]);
		struct tp_path path;

		if (debuginfo_expression(site[i], "it->magic", TP_READ_NONE, &path, why,
					 sizeof(why))) {
			print_message("    %s\n", why);
			continue;
		}
		/* As probes do: past what changes nothing. */
		stops_later += !within && entry_stop(image, address) != address;
		value = value_at(image, within ? address : entry_stop(image, address), &path);
		if (value != MAGIC)
			fail_msg("%s in %s at 0x%lx: base %u, %lx", name,
				 debuginfo_function_within(site[i]), (unsigned long)address,
				 path.base, (unsigned long)value);
		held++;
	}
	return held;
}

static void places_hold(void **state)
{
	char path[TEST_PATH], command[3 * TEST_PATH];
	struct debuginfo *info;
	struct image *image;

	for (size_t i = 0; i < sizeof(compilers) / sizeof(compilers[0]); i++) {
		unsigned int held;

		snprintf(command, sizeof(command), "cd '%s' && %s -o program program.c",
			 (char *)*state, compilers[i]);
		assert_int_equal(test_run(command), 0);
		assert_int_equal(image_open(test_path(state, "program", path), &image), 0);
		assert_int_equal(debuginfo_open(image, NULL, &info), 0);
		held = check_function(image, info, "touch");
		print_message("%s: %u inlined copies hold\n", compilers[i], held);
		assert_true(held >= 3);
		assert_int_equal(check_function(image, info, "plain"), 1);
		assert_int_equal(check_function(image, info, "checked"), 1);
		debuginfo_close(info);
		image_close(image);
	}
	assert_true(stops_later >= 3);
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
		cmocka_unit_test(places_hold),
	};

	return cmocka_run_group_tests(tests, write_program, test_teardown);
}
