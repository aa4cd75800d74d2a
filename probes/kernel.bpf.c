// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's side: the server's process has ended. do_exit() fires this
 * tracepoint before it closes the task's files, so forwarding ends before a
 * port can be bound by somebody else.
 */
#include "bpf/compiler.h"
#include <bpf/bpf_core_read.h>
#include "bpf/maps.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Of include/linux/sched.h, only what is read here; CO-RE finds the places. */
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

#define SIGNAL_GROUP_EXIT 0x4 /* include/linux/sched/signal.h: exit_group() or a deadly signal */

/* A thread that ends alone is no event; the last one, or the first of all to be killed, is. */
static __always_inline int is_last_breath(struct task_struct *task)
{
	struct signal_struct *signal = BPF_CORE_READ(task, signal);

	return BPF_CORE_READ(signal, live.counter) == 0 ||
	       BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT;
}

SEC("raw_tp/sched_process_exit")
int turnpike_exit(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct tp_config *c = &shared.config;

	if (!tgid)
		return 0;
	for (int i = 0; i < TP_SERVERS; i++) {
		struct tp_notice n = {.kind = TP_NOTICE_SERVER_GONE, .tgid = tgid};

		if (c->live[i] != tgid || !is_last_breath((void *)ctx->args[0]))
			continue;
		c->live[i] = 0;
		notice(&n);
	}
	return 0;
}
