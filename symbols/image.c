// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "symbols/image.h"
#include "symbols/opener.h"

#define IMAGE_SEGMENTS 64 /* executable ones that are looked at; real programs have one or two */
#define IMAGE_BUILD_ID ((IMAGE_BUILD_ID_HEX - 1) / 2)

struct segment {
	uint64_t address;
	uint64_t offset;
	uint64_t size; /* in the file */
};

struct image {
	char *path, *real_path;
	const struct opener *opener;
	int fd;
	uint64_t size;
	Elf *elf;
	unsigned int segments; /* executable and loaded */
	struct segment segment[IMAGE_SEGMENTS];
	char build_id[IMAGE_BUILD_ID_HEX];
};

/* Where a path leads; the name only, if the file is deleted. */
static char *real_path(const char *path)
{
	static const char deleted[] = " (deleted)"; /* what /proc/PID/exe adds then */
	char *real = realpath(path, NULL), link[PATH_MAX];
	ssize_t length;

	if (real)
		return real;
	length = readlink(path, link, sizeof(link) - 1);
	if (length < 0)
		return strdup(path);
	link[length] = '\0';
	if ((size_t)length >= sizeof(deleted) &&
	    !strcmp(link + length - (sizeof(deleted) - 1), deleted))
		link[length - (sizeof(deleted) - 1)] = '\0';
	return strdup(link);
}

static int open_file(struct image *image)
{
	struct stat stat;

	image->fd = image->opener->open(image->opener->context, image->path);
	if (image->fd < 0)
		return image->fd;
	if (fstat(image->fd, &stat))
		return -errno;
	image->size = stat.st_size;
	return 0;
}

/* Reading instead of mapping: a file that is cut short meanwhile must not raise SIGBUS. */
static int open_elf(struct image *image)
{
	GElf_Ehdr header;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOEXEC;
	image->elf = elf_begin(image->fd, ELF_C_READ, NULL);
	if (!image->elf || elf_kind(image->elf) != ELF_K_ELF || !gelf_getehdr(image->elf, &header))
		return -ENOEXEC;
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    header.e_machine != EM_X86_64 || (header.e_type != ET_EXEC && header.e_type != ET_DYN))
		return -ENOEXEC;
	return 0;
}

static void add_segment(struct image *image, const GElf_Phdr *header)
{
	struct segment *segment = &image->segment[image->segments];
	uint64_t size = header->p_filesz;

	if (header->p_type != PT_LOAD || !(header->p_flags & PF_X) ||
	    image->segments == IMAGE_SEGMENTS || header->p_offset >= image->size)
		return;
	if (size > image->size - header->p_offset)
		size = image->size - header->p_offset;
	if (!size || header->p_vaddr > UINT64_MAX - size)
		return;
	*segment = (struct segment){header->p_vaddr, header->p_offset, size};
	image->segments++;
}

/* Looks for the GNU build-id among the notes in DATA. */
static void read_notes(struct image *image, Elf_Data *data)
{
	size_t name, text, next;
	size_t at = 0;
	GElf_Nhdr note;

	while (data && !*image->build_id && (next = gelf_getnote(data, at, &note, &name, &text))) {
		const unsigned char *bytes = (unsigned char *)data->d_buf + text;

		at = next;
		if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != sizeof(ELF_NOTE_GNU) ||
		    memcmp((char *)data->d_buf + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) ||
		    note.n_descsz > IMAGE_BUILD_ID)
			continue;
		for (size_t i = 0; i < note.n_descsz; i++)
			snprintf(image->build_id + 2 * i, 3, "%02x", bytes[i]);
	}
}

/* Sections may be stripped, so segments are asked; in a debug file these are empty. */
static int read_segments(struct image *image)
{
	size_t count;

	if (elf_getphdrnum(image->elf, &count))
		return -ENOEXEC;
	for (size_t i = 0; i < count && i < INT_MAX; i++) {
		GElf_Phdr header;

		if (!gelf_getphdr(image->elf, (int)i, &header))
			return -ENOEXEC;
		add_segment(image, &header);
		if (header.p_type == PT_NOTE && header.p_offset <= INT64_MAX)
			read_notes(image, elf_getdata_rawchunk(image->elf, (int64_t)header.p_offset,
							       header.p_filesz,
							       header.p_align == 8 ? ELF_T_NHDR8
										   : ELF_T_NHDR));
	}
	return 0;
}

static Elf_Scn *next_section(const struct image *image, Elf_Scn *section, GElf_Word type,
			     GElf_Shdr *ret)
{
	while ((section = elf_nextscn(image->elf, section)))
		if (gelf_getshdr(section, ret) && ret->sh_type == type)
			return section;
	return NULL;
}

static void read_note_sections(struct image *image)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	while (!*image->build_id && (section = next_section(image, section, SHT_NOTE, &header)))
		read_notes(image, elf_getdata(section, NULL));
}

static int open_unread(const char *path, const struct opener *opener, struct image **ret)
{
	struct image *image = calloc(1, sizeof(*image));
	int err = -ENOMEM;

	if (!image)
		return err;
	image->fd = -1;
	image->opener = opener;
	image->path = strdup(path);
	image->real_path = real_path(path);
	if (image->path && image->real_path)
		err = open_file(image);
	if (err)
		image_close(image);
	else
		*ret = image;
	return err;
}

int image_open_unread(const char *path, struct image **ret)
{
	return open_unread(path, &opener_own, ret);
}

int image_parse(struct image *image, const struct opener *opener)
{
	int err = open_elf(image);

	image_set_opener(image, opener);
	if (!err)
		err = read_segments(image);
	if (!err)
		read_note_sections(image);
	return err;
}

int image_open_by(const char *path, const struct opener *opener, struct image **ret)
{
	struct image *image;
	int err = open_unread(path, opener, &image);

	if (err)
		return err;
	err = image_parse(image, opener);
	if (err)
		image_close(image);
	else
		*ret = image;
	return err;
}

int image_open(const char *path, struct image **ret)
{
	return image_open_by(path, &opener_own, ret);
}

void image_close(struct image *image)
{
	if (!image)
		return;
	elf_end(image->elf);
	if (image->fd >= 0)
		close(image->fd);
	free(image->real_path);
	free(image->path);
	free(image);
}

const char *image_path(const struct image *image)
{
	return image->path;
}

const char *image_real_path(const struct image *image)
{
	return image->real_path;
}

const struct opener *image_opener(const struct image *image)
{
	return image->opener;
}

void image_set_opener(struct image *image, const struct opener *opener)
{
	image->opener = opener;
}

void image_set_build_id(struct image *image, const char *id)
{
	snprintf(image->build_id, sizeof(image->build_id), "%s", id);
}

int image_fd(const struct image *image)
{
	return image->fd;
}

struct Elf *image_elf(const struct image *image)
{
	return image->elf;
}

const char *image_build_id(const struct image *image)
{
	return image->build_id;
}

int image_file_offset(const struct image *image, uint64_t address, uint64_t *ret)
{
	for (unsigned int i = 0; i < image->segments; i++) {
		const struct segment *segment = &image->segment[i];

		if (address >= segment->address && address - segment->address < segment->size) {
			*ret = address - segment->address + segment->offset;
			return 0;
		}
	}
	return -ERANGE;
}

bool image_segment(const struct image *image, unsigned int index, uint64_t *address, uint64_t *size)
{
	if (index >= image->segments)
		return false;
	*address = image->segment[index].address;
	*size = image->segment[index].size;
	return true;
}

static bool is_code(const struct image *image, uint64_t offset, size_t length)
{
	for (unsigned int i = 0; i < image->segments; i++) {
		const struct segment *segment = &image->segment[i];

		if (offset >= segment->offset && offset - segment->offset < segment->size)
			return length <= segment->size - (offset - segment->offset);
	}
	return false;
}

int image_code(const struct image *image, uint64_t offset, void *ret, size_t length)
{
	unsigned char *to = ret;

	if (!is_code(image, offset, length))
		return -ERANGE;
	while (length) {
		ssize_t got = pread(image->fd, to, length, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -ERANGE;
		to += got;
		offset += got;
		length -= got;
	}
	return 0;
}

struct wanted {
	const char *name;	 /* NULL: any */
	const uint64_t *address; /* NULL: any */
	enum { IMAGE_SAME, IMAGE_CLONE, IMAGE_PART } match;
};

static bool is_wanted(const char *name, const struct wanted *wanted)
{
	size_t length;

	if (!wanted->name)
		return true;
	if (!name)
		return false;
	if (wanted->match == IMAGE_PART)
		return strstr(name, wanted->name);
	length = strlen(wanted->name);
	return !strncmp(name, wanted->name, length) &&
	       (!name[length] || (wanted->match == IMAGE_CLONE && name[length] == '.'));
}

static bool find_symbol(const struct image *image, const struct wanted *wanted)
{
	GElf_Shdr header;
	Elf_Scn *section = next_section(image, NULL, SHT_SYMTAB, &header);
	Elf_Data *data = section ? elf_getdata(section, NULL) : NULL;
	size_t count = data ? data->d_size / sizeof(Elf64_Sym) : 0;

	for (size_t i = 0; i < count && i < INT_MAX; i++) {
		GElf_Sym symbol;

		if (!gelf_getsym(data, (int)i, &symbol))
			break;
		if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF ||
		    (wanted->address && symbol.st_value != *wanted->address))
			continue;
		if (is_wanted(elf_strptr(image->elf, header.sh_link, symbol.st_name), wanted))
			return true;
	}
	return false;
}

bool image_has_symbol(const struct image *image, const char *function)
{
	return find_symbol(image, &(struct wanted){function, NULL, IMAGE_CLONE});
}

bool image_symbol_at(const struct image *image, const char *name, bool clones, uint64_t address)
{
	return find_symbol(image,
			   &(struct wanted){name, &address, clones ? IMAGE_CLONE : IMAGE_SAME});
}

bool image_symbol_has(const struct image *image, const char *part, uint64_t address)
{
	return find_symbol(image, &(struct wanted){part, &address, IMAGE_PART});
}
