// SPDX-License-Identifier: GPL-2.0-only
/* The child's side: rights away, then read and resolve. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "symbols/apart.h"
#include "symbols/apart_child.h"
#include "symbols/image.h"
#include "symbols/result.h"

static int ask(int socket, uint32_t kind, const char *path, struct apart_answer *ret, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct apart_request request = {.kind = kind};
	struct iovec data = {ret, sizeof(*ret)};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};

	if ((size_t)snprintf(request.path, sizeof(request.path), "%s", path) >=
	    sizeof(request.path))
		return -ENAMETOOLONG;
	if (send(socket, &request, sizeof(request), 0) != sizeof(request) ||
	    recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof(*ret))
		return -EIO;
	*ret_fd = -1;
	if (message.msg_controllen >= CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(&control.header), sizeof(*ret_fd));
	return ret->err;
}

static int open_asked(void *context, const char *path)
{
	struct apart_answer answer;
	int fd, err = ask(*(int *)context, APART_OPEN, path, &answer, &fd);

	return err ? err : fd;
}

static int list_asked(void *context, const char *path, char *ret, size_t size)
{
	struct apart_answer answer;
	int fd, err = ask(*(int *)context, APART_LIST, path, &answer, &fd);

	if (!err)
		snprintf(ret, size, "%.*s", (int)sizeof(answer.names) - 1, answer.names);
	return err;
}

static int limit(int resource, rlim_t most)
{
	return setrlimit(resource, &(struct rlimit){most, most});
}

static int limits(void)
{
	/* At the soft limit SIGXCPU comes, which says what it is. */
	const struct rlimit time = {APART_SECONDS, APART_SECONDS + 1};
	int failed = setrlimit(RLIMIT_CPU, &time) | limit(RLIMIT_CORE, 0) | limit(RLIMIT_FSIZE, 0) |
		     limit(RLIMIT_NOFILE, 64);

#ifndef __SANITIZE_ADDRESS__ /* which reserves terabytes of addresses */
	failed |= limit(RLIMIT_AS, APART_MEMORY);
#endif
	return failed;
}

/* Without root there is nothing to give up. */
static int identity(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL))
		return -errno;
	if (geteuid())
		return 0;
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC) || setgroups(0, NULL) ||
	    setresgid(APART_USER, APART_USER, APART_USER) ||
	    setresuid(APART_USER, APART_USER, APART_USER))
		return -errno;
	return prctl(PR_SET_DUMPABLE, 0) ? -errno : 0;
}

/* What libelf, libdw, libcyaml and the allocator need; all else fails with EPERM. */
static int system_calls(void)
{
	static const int allowed[] = {
		SCMP_SYS(read),	       SCMP_SYS(pread64),      SCMP_SYS(write),
		SCMP_SYS(writev),      SCMP_SYS(lseek),	       SCMP_SYS(close),
		SCMP_SYS(fstat),       SCMP_SYS(mmap),	       SCMP_SYS(munmap),
		SCMP_SYS(mremap),      SCMP_SYS(mprotect),     SCMP_SYS(madvise),
		SCMP_SYS(brk),	       SCMP_SYS(sendto),       SCMP_SYS(recvmsg),
		SCMP_SYS(futex),       SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(getpid),      SCMP_SYS(gettid),       SCMP_SYS(clock_gettime),
		SCMP_SYS(getrandom),   SCMP_SYS(exit_group),   SCMP_SYS(exit),
		SCMP_SYS(sigaltstack), SCMP_SYS(sched_yield),  SCMP_SYS(rt_sigaction),
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err = filter ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	/* stdio asks what kind of file it has; of a file by name nothing is told. */
	if (!err)
		err = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
			SCMP_A3(SCMP_CMP_MASKED_EQ, 0x1000 /* AT_EMPTY_PATH */, 0x1000));
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				       SCMP_A1(SCMP_CMP_EQ, F_GETFL, 0));
	/* A signal to itself: abort(). */
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}

static int send_bytes(int socket, const char *bytes, size_t length)
{
	struct apart_request packet = {.kind = APART_RESULT};

	for (size_t sent = 0, part; sent < length; sent += part) {
		part = length - sent < APART_PATH / 2 ? length - sent : APART_PATH / 2;
		memcpy(packet.path, bytes + sent, part);
		if (send(socket, &packet, sizeof(packet.kind) + part, 0) < 0)
			return -errno;
	}
	return 0;
}

static int send_result(int socket, const struct result *result)
{
	char *bytes = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&bytes, &length);
	int err = out ? result_write(result, out) : -ENOMEM;

	if (out)
		fclose(out);
	if (!err)
		err = send_bytes(socket, bytes, length);
	free(bytes);
	return err;
}

static int read_image(struct image *image, const struct opener *opener, struct result *result)
{
	int err = image_parse(image, opener);

	if (err)
		snprintf(result->why, sizeof(result->why), "can't read %.100s: %s",
			 image_real_path(image),
			 err == -ENOEXEC ? "not an ELF program for x86-64" : strerror(-err));
	return err;
}

void apart_child(int socket, struct image *image, struct image *rebase,
		 const struct symbols_options *options)
{
	const struct opener opener = {open_asked, list_asked, &socket};
	struct result result = {};

	/* A fault is to end it, whatever the parent does about its own. */
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	if (limits() || identity() || system_calls())
		_exit(1);
	result.err = read_image(image, &opener, &result);
	if (!result.err) {
		snprintf(result.build_id, sizeof(result.build_id), "%s", image_build_id(image));
		result.err = symbols_resolve(image, options, &result.symbols, result.why);
	}
	if (!result.err && rebase) {
		result.err = read_image(rebase, &opener, &result);
		if (!result.err)
			result.err = symbols_rebase(result.symbols, image, rebase, result.why);
	}
	if (result.err)
		result.symbols = NULL;
	_exit(send_result(socket, &result) ? 1 : 0);
}
