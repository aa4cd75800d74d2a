// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's side: the server's process has ended, begins another program, or
 * is being dumped. do_exit() fires its tracepoint before it closes the task's
 * files, so forwarding ends before a port can be bound by somebody else.
 *
 * And the lease: without turnpike's sign of life the fast path passes everything.
 */
#include "bpf/compiler.h"
#include <bpf/bpf_core_read.h>
#include "bpf/maps.bpf.h"
#include "probes/probe.h"
#include "probes/seen.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Of include/linux/sched.h and its like, only what is read here; CO-RE finds the places. */
struct signal_struct {
	struct {
		int counter;
	} live;
	unsigned int flags;
} __attribute__((preserve_access_index));

struct task_struct {
	int tgid;
	struct signal_struct *signal;
} __attribute__((preserve_access_index));

struct k_sigaction {
	struct {
		void *sa_handler;
	} sa;
} __attribute__((preserve_access_index));

#define SIGNAL_GROUP_EXIT 0x4 /* include/linux/sched/signal.h: exit_group() or a deadly signal */

/* Those that leave a core, include/linux/signal.h: QUIT ILL TRAP ABRT BUS FPE SEGV XCPU XFSZ SYS */
#define SIGNALS_CORE                                                                               \
	(1U << 3 | 1U << 4 | 1U << 5 | 1U << 6 | 1U << 7 | 1U << 8 | 1U << 11 | 1U << 24 |         \
	 1U << 25 | 1U << 31)

/* A thread that ends alone is no event; the last one, or the first of all to be killed, is. */
static __always_inline int is_last_breath(struct task_struct *task)
{
	struct signal_struct *signal = BPF_CORE_READ(task, signal);

	return BPF_CORE_READ(signal, live.counter) == 0 ||
	       BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT;
}

static __always_inline void gone(__u32 server, __u32 tgid, __u32 how)
{
	struct tp_notice n = {.kind = TP_NOTICE_SERVER_GONE, .tgid = tgid};

	shared.config.live[server & (TP_SERVERS - 1)] = 0;
	seen(how);
	notice(&n);
}

SEC("raw_tp/sched_process_exit")
int turnpike_exit(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	for (int i = 0; tgid && i < TP_SERVERS; i++)
		if (shared.config.live[i] == tgid && is_last_breath((void *)ctx->args[0]))
			gone(i, tgid, TP_SEEN_EXIT);
	return 0;
}

/* Its memory is replaced, and what isn't to be inherited is closed. */
SEC("raw_tp/sched_process_exec")
int turnpike_exec(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	(void)ctx;
	for (int i = 0; tgid && i < TP_SERVERS; i++)
		if (shared.config.live[i] == tgid)
			gone(i, tgid, TP_SEEN_EXEC);
	return 0;
}

/* get_signal() tells before it writes the core, which may take minutes with all sockets open. */
SEC("raw_tp/signal_deliver")
int turnpike_crash(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, signal = ctx->args[0];
	struct k_sigaction *action = (void *)ctx->args[2];

	if (!tgid || signal > 31 || !(SIGNALS_CORE & 1U << signal))
		return 0;
	for (int i = 0; i < TP_SERVERS; i++)
		if (shared.config.live[i] == tgid && !BPF_CORE_READ(action, sa.sa_handler))
			gone(i, tgid, TP_SEEN_CRASH);
	return 0;
}

/* Run by turnpike itself, as long as it lives. */
SEC("syscall")
int turnpike_renew(struct tp_renew *ctx)
{
	WRITE_ONCE(shared.config.lease, bpf_jiffies64() + ctx->ticks);
	return 0;
}
