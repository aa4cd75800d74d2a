/* SPDX-License-Identifier: GPL-2.0-only */
/* An executable on disk or in a process: build-id, code bytes, file offsets. */
#ifndef TURNPIKE_SYMBOLS_IMAGE_H
#define TURNPIKE_SYMBOLS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;

#define IMAGE_BUILD_ID_HEX 129 /* 64 bytes in hex and NUL */

struct opener;

/* Opens PATH (which may be /proc/PID/exe). -ENOEXEC: not an x86-64 ELF program. */
int image_open(const char *path, struct image **ret);
/* As above, by OPENER, which must outlive it. */
int image_open_by(const char *path, const struct opener *opener, struct image **ret);
/* Opens the file only: nothing of it is read until image_parse(). */
int image_open_unread(const char *path, struct image **ret);
/* Reads what the functions below tell; -ENOEXEC: not an x86-64 ELF program. */
int image_parse(struct image *image, const struct opener *opener);
void image_close(struct image *image);

const char *image_path(const struct image *image);
/* Where PATH led when it was opened, without links; what /proc/PID/exe was, if it is deleted. */
const char *image_real_path(const struct image *image);
const struct opener *image_opener(const struct image *image);
void image_set_opener(struct image *image, const struct opener *opener);
int image_fd(const struct image *image);
/* Lower-case hex of the GNU build-id note, "" if there is none. */
const char *image_build_id(const struct image *image);
/* For an image that isn't parsed here: what somebody else has read. */
void image_set_build_id(struct image *image, const char *id);

/* ELF virtual address to offset in the file; -ERANGE if not in a loaded executable segment. */
int image_file_offset(const struct image *image, uint64_t address, uint64_t *ret);

/* Copies LENGTH code bytes at a file offset; -ERANGE past the end of the executable segment. */
int image_code(const struct image *image, uint64_t offset, void *ret, size_t length);

/* The INDEX-th executable segment: its address and size in the file; false: no more. */
bool image_segment(const struct image *image, unsigned int index, uint64_t *address,
		   uint64_t *size);

/* Does a symbol table (.symtab) name FUNCTION? For explanations only. */
bool image_has_symbol(const struct image *image, const char *function);

/*
 * Is there a function's symbol at this ELF address whose name is NAME, or begins with it
 * and a dot (a compiler's clone)? By a NULL name: is there any? A separate debug file may be
 * opened as an image as well, to ask for its symbols.
 */
bool image_symbol_at(const struct image *image, const char *name, bool clones, uint64_t address);
/* Is there a function's symbol at this address with PART in its name, ".part."? */
bool image_symbol_has(const struct image *image, const char *part, uint64_t address);

struct Elf;
struct Elf *image_elf(const struct image *image); /* for libdw; the image keeps it */

#endif
