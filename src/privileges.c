// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <cap-ng.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include "src/privileges.h"

/*
 * CAP_SYS_ADMIN is for setns() alone: a server in this network namespace needs none.
 * The last two are for the child that reads the server's program, to become nobody.
 */
static const unsigned int attaching[] = {
	CAP_BPF,	  CAP_PERFMON,	 CAP_NET_ADMIN,
	CAP_SYS_PTRACE,	  CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH,
	CAP_DAC_OVERRIDE, CAP_SETUID,	 CAP_SETGID,
};

#define NEEDED		4 /* of `attaching`, in any case */
#define LASTING		3 /* of `attaching`, afterwards */
#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

int privileges_suffice(char *missing, size_t size)
{
	size_t used = 0;

	*missing = 0;
	for (size_t i = 0; i < NEEDED; i++)
		if (!capng_have_capability(CAPNG_EFFECTIVE, attaching[i]) && used < size)
			used += snprintf(missing + used, size - used, "%scap_%s", used ? ", " : "",
					 capng_capability_to_name(attaching[i]));
	return !used;
}

/* Keeps the first COUNT of `attaching`, as far as they are there. */
static int keep(size_t count)
{
	bool have[ELEMENTS(attaching)];

	for (size_t i = 0; i < count; i++)
		have[i] = capng_have_capability(CAPNG_PERMITTED, attaching[i]);
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < count; i++)
		if (have[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, attaching[i]);
	/* Without CAP_SETPCAP the bounding set stays; no new privileges come from it. */
	if (capng_apply(CAPNG_SELECT_CAPS))
		return -EPERM;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

int privileges_drop_for_attaching(void)
{
	return keep(ELEMENTS(attaching));
}

static const int lasting_calls[] = {
	/* waiting, time, memory */
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(eventfd2),
	SCMP_SYS(brk),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(getrandom),
	SCMP_SYS(sysinfo),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(getcpu),
	SCMP_SYS(prlimit64),
	SCMP_SYS(getrlimit),
	/* what it asks of the kernel, and tells of itself */
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(ioctl),
	SCMP_SYS(socket),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(accept4),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(shutdown),
	SCMP_SYS(uname),
	/* files: /proc, /sys, its own socket and pins */
	SCMP_SYS(read),
	SCMP_SYS(pread64),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(close),
	SCMP_SYS(lseek),
	SCMP_SYS(fcntl),
	SCMP_SYS(dup),
	SCMP_SYS(dup3),
	SCMP_SYS(stat),
	SCMP_SYS(fstat),
	SCMP_SYS(lstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(getcwd),
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(rmdir),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	/* threads, signals, its end */
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(signalfd4),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(tgkill),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_send_signal),
};

static int filter_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err = filter ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < ELEMENTS(lasting_calls); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, lasting_calls[i], 0);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}

int privileges_drop_all(void)
{
	return keep(0);
}

int privileges_drop(void)
{
	int err = keep(LASTING);

	return err ? err : filter_calls();
}
