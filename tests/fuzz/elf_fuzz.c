// SPDX-License-Identifier: GPL-2.0-only
/*
 * elf_fuzz SECONDS PROFILES PROGRAM...: damages real programs (bytes changed, cut short, pieces put
 * elsewhere) and resolves them as `run` does, through the child. The parent must live, no child may
 * outlast its limit, and what is resolved must be a plan.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "symbols/apart.h"
#include "symbols/image.h"

#define LARGEST (64 << 20)
#define TARGET	"turnserver" /* the name that the profile is for */

struct program {
	unsigned char *bytes;
	size_t size;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static struct program load(const char *path)
{
	struct program program = {malloc(LARGEST), 0};
	FILE *file = fopen(path, "r");

	if (file && program.bytes)
		program.size = fread(program.bytes, 1, LARGEST, file);
	if (!program.size) {
		fprintf(stderr, "elf_fuzz: can't read %s\n", path);
		exit(1);
	}
	fclose(file);
	return program;
}

static size_t number(size_t below)
{
	return (((size_t)rand() << 31) ^ (size_t)rand()) % below;
}

/* Returns how much of it is left. Half of the changes are where headers and tables lie. */
static size_t damage(const struct program *program, unsigned char *copy)
{
	size_t changes = 1 + number(number(4) ? 8 : 400), where;

	memcpy(copy, program->bytes, program->size);
	for (size_t i = 0; i < changes; i++) {
		where = number(8)   ? number(program->size)
			: number(2) ? number(4096)
				    : program->size - 1 - number(4096);
		if (number(3))
			copy[where] ^= (unsigned char)(1 << number(8));
		else
			copy[where] = (unsigned char)(number(2) ? 0xff : rand());
	}
	if (!number(6)) {
		size_t length = number(65536);
		size_t to = number(program->size - length), from = number(program->size - length);

		memmove(copy + to, copy + from, length);
	}
	return number(8) ? program->size : number(program->size);
}

struct outcomes {
	unsigned long rounds, resolved, refused, crashed, hung, worst_ms;
};

static void note(struct outcomes *outcomes, int err, const char *why, double seconds)
{
	outcomes->rounds++;
	if ((unsigned long)(seconds * 1000) > outcomes->worst_ms)
		outcomes->worst_ms = (unsigned long)(seconds * 1000);
	if (!err)
		outcomes->resolved++;
	else if (strstr(why, "crashed"))
		outcomes->crashed++;
	else if (strstr(why, "took more than"))
		outcomes->hung++;
	else
		outcomes->refused++;
	if (seconds > APART_SECONDS + 2) {
		fprintf(stderr, "elf_fuzz: %.1f s\n", seconds);
		exit(1);
	}
}

static void once(const char *path, const char *profiles, struct outcomes *outcomes)
{
	const struct symbols_options options = {.profile_dir = {profiles}, .no_map = true};
	struct symbols *symbols = NULL;
	char why[SYMBOLS_WHY] = "";
	double begin = now();
	struct image *image;
	int err;

	err = image_open_unread(path, &image);
	if (err)
		exit(1);
	err = apart_resolve(image, NULL, &options, &symbols, why);
	note(outcomes, err, why, now() - begin);
	symbols_free(symbols);
	image_close(image);
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/turnpike-fuzz-XXXXXX", path[64];
	unsigned char *copy = malloc(LARGEST);
	struct outcomes outcomes = {0};
	double end;

	if (argc < 4 || !copy || !mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/" TARGET, folder);
	srand((unsigned int)time(NULL));
	for (end = now() + atof(argv[1]); now() < end;) {
		struct program program = load(argv[3 + number((size_t)argc - 3)]);
		/* As many of one program: to read it takes as long as to resolve it. */
		for (int i = 0; i < 50 && now() < end; i++) {
			size_t size = damage(&program, copy);
			FILE *file = fopen(path, "w");

			if (!file || fwrite(copy, 1, size, file) != size || fclose(file))
				return 1;
			once(path, argv[2], &outcomes);
		}
		free(program.bytes);
	}
	unlink(path);
	rmdir(folder);
	free(copy);
	printf("%lu programs: %lu resolved, %lu refused, %lu crashed the child, %lu ran into its "
	       "limit; the longest took %lu ms\n",
	       outcomes.rounds, outcomes.resolved, outcomes.refused, outcomes.crashed,
	       outcomes.hung, outcomes.worst_ms);
	return 0;
}
