// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bench's hands in the kernel. In the network namespace of the device:
 *   traffic redirect DEV TARGET   put a program that sends on what arrives, as it is,
 *                                 into DEV's XDP link; prints LINK PROGRAM as they were
 *   traffic restore LINK PROGRAM  puts the program back, by their ids
 *   traffic bare DEV TARGET       the same program, where there is none
 *   traffic pass DEV              a program that does nothing
 *   traffic send DEV FILE CPUS SECONDS [RATE]
 * FILE: a frame's length and where its flows lie in it (u32 each), the frame, then flows
 * (struct bench_flow).
 * RATE: packets a second of each CPU; without it, as many as will go.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <net/if.h>
#include <linux/if_link.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "tests/bench/bench.skel.h"
#include "tests/bench/flow.h"

#define BATCH	    64
#define PACED_BATCH 16 /* a server's socket buffer should hold one */
#define FRAME	    2048

static struct bench_bpf *skeleton;

static void die(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static unsigned int device(const char *name)
{
	unsigned int index = if_nametoindex(name);

	if (!index)
		die(name);
	return index;
}

static void open_for(unsigned int target)
{
	skeleton = bench_bpf__open();
	if (!skeleton)
		die("open");
	skeleton->rodata->target = target;
}

static void load(unsigned int target)
{
	open_for(target);
	if (bench_bpf__load(skeleton))
		die("load");
}

/* Stays when this program ends, for the device goes with its namespace. */
static void attach(const char *name, struct bpf_program *program)
{
	if (bpf_xdp_attach(device(name), bpf_program__fd(program), XDP_FLAGS_DRV_MODE, NULL))
		die(name);
}

static void swap(__u32 link, int program)
{
	int fd = bpf_link_get_fd_by_id(link);

	if (fd < 0 || program < 0 || bpf_link_update(fd, program, NULL))
		die("link");
}

/* Interfaces' indexes are their namespace's, so the program's id has to agree too. */
static __u32 link_of(unsigned int ifindex, __u32 program)
{
	struct bpf_link_info info;
	__u32 id = 0, length;
	int fd;

	while (!bpf_link_get_next_id(id, &id)) {
		fd = bpf_link_get_fd_by_id(id);
		length = sizeof(info);
		memset(&info, 0, sizeof(info));
		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &length) &&
		    info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == ifindex &&
		    info.prog_id == program)
			return id;
		close(fd);
	}
	die("no XDP link there");
	return 0;
}

static void redirect(const char *name, const char *target)
{
	__u32 program, link;

	if (bpf_xdp_query_id(device(name), 0, &program))
		die(name);
	link = link_of(device(name), program);
	load(device(target));
	swap(link, bpf_program__fd(skeleton->progs.redirect));
	printf("%u %u\n", link, program);
}

struct sender {
	pthread_t thread;
	int cpu;
	double seconds, rate;
	const void *frame;
	unsigned int length;
	unsigned long sent;
};

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static void wait_for(const struct sender *sender, double begin)
{
	double ahead = sender->rate ? begin + sender->sent / sender->rate - now() : 0;

	if (ahead > 0)
		usleep(ahead * 1e6);
}

static void *send_all(void *data)
{
	struct sender *sender = data;
	struct xdp_md context = {.data_end = sender->length};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = sender->frame,
		    .data_size_in = sender->length, .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
		    .batch_size = sender->rate ? PACED_BATCH : BATCH);
	int program = bpf_program__fd(skeleton->progs.generate);
	double begin, end;

	/* Only what softirqs leave: else it fills rings that nobody empties. */
	sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){});
	pin(sender->cpu);
	begin = now();
	for (end = begin + sender->seconds; now() < end; wait_for(sender, begin)) {
		options.repeat = sender->rate ? PACED_BATCH : 4096 * BATCH;
		if (bpf_prog_test_run_opts(program, &options))
			die("BPF_PROG_TEST_RUN");
		sender->sent += options.repeat;
	}
	sender->seconds = now() - begin;
	return NULL;
}

static unsigned int read_file(const char *path, void *frame, unsigned int *length,
			      unsigned int *flow_at, struct bench_flow *flows)
{
	FILE *file = fopen(path, "r");
	size_t count;

	if (!file || fread(length, sizeof(*length), 1, file) != 1 || *length > FRAME ||
	    fread(flow_at, sizeof(*flow_at), 1, file) != 1 || fread(frame, *length, 1, file) != 1)
		die(path);
	count = fread(flows, sizeof(*flows), BENCH_FLOWS, file);
	fclose(file);
	return count;
}

static void share_out(int cpus, unsigned int count)
{
	int possible = libbpf_num_possible_cpus();
	struct {
		struct bench_share share;
		__u32 padding; /* a per-CPU value takes whole u64 */
	} value[possible];
	__u32 zero = 0;

	memset(value, 0, sizeof(value));
	for (int i = 0; i < cpus && i < possible; i++) {
		__u32 begin = (__u64)i * count / cpus, end = (__u64)(i + 1) * count / cpus;

		if (begin == end) /* fewer flows than CPUs */
			begin = 0, end = count;
		value[i].share = (struct bench_share){.begin = begin, .end = end, .next = begin};
	}
	if (bpf_map_update_elem(bpf_map__fd(skeleton->maps.shares), &zero, value, BPF_ANY))
		die("shares");
}

static int send_file(const char *name, const char *path, int cpus, double seconds, double rate)
{
	static struct bench_flow flows[BENCH_FLOWS];
	static struct sender senders[64];
	static unsigned char frame[FRAME];
	unsigned int length, flow_at, count = read_file(path, frame, &length, &flow_at, flows);
	unsigned long sent = 0;

	if (!count || cpus < 1 || cpus > 64)
		die("nothing to send");
	open_for(device(name));
	memcpy((void *)skeleton->rodata->begin, frame, sizeof(skeleton->rodata->begin));
	skeleton->rodata->flow_at = flow_at;
	if (bench_bpf__load(skeleton))
		die("load");
	for (unsigned int i = 0; i < count; i++)
		if (bpf_map_update_elem(bpf_map__fd(skeleton->maps.flows), &i, &flows[i], BPF_ANY))
			die("flows");
	share_out(cpus, count);
	for (int i = 0; i < cpus; i++) {
		senders[i] = (struct sender){.cpu = i,
					     .seconds = seconds,
					     .rate = rate,
					     .frame = frame,
					     .length = length};
		if (pthread_create(&senders[i].thread, NULL, send_all, &senders[i]))
			die("thread");
	}
	for (int i = 0; i < cpus; i++) {
		pthread_join(senders[i].thread, NULL);
		sent += senders[i].sent;
	}
	printf("{\"sent\": %lu, \"seconds\": %.6f}\n", sent, senders[0].seconds);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 6 && !strcmp(argv[1], "send"))
		return send_file(argv[2], argv[3], atoi(argv[4]), atof(argv[5]),
				 argc > 6 ? atof(argv[6]) : 0);
	if (argc == 4 && !strcmp(argv[1], "redirect")) {
		redirect(argv[2], argv[3]);
	} else if (argc == 4 && !strcmp(argv[1], "restore")) {
		swap(atoi(argv[2]), bpf_prog_get_fd_by_id(atoi(argv[3])));
	} else if (argc == 4 && !strcmp(argv[1], "bare")) {
		load(device(argv[3]));
		attach(argv[2], skeleton->progs.redirect);
	} else if (argc == 3 && !strcmp(argv[1], "pass")) {
		load(0);
		attach(argv[2], skeleton->progs.pass);
	} else {
		fprintf(stderr, "traffic pass DEV, bare|redirect DEV TARGET, "
				"restore LINK PROGRAM, send DEV FILE CPUS SECONDS [RATE]\n");
		return 2;
	}
	return 0;
}
