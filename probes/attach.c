// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <time.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "probes/attach.h"
#include "probes/uprobe.skel.h"

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec;
}

static int attach_probe(struct attach *attach, uint64_t cookie, unsigned int lasts, int pid,
			const char *path, uint64_t offset)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = cookie,
		    .retprobe = cookie & TP_COOKIE_RETURN);
	struct bpf_link *link;

	link = bpf_program__attach_uprobe_opts(attach->skeleton->progs.turnpike_probe, pid, path,
					       offset, &opts);
	if (!link)
		return -errno;
	attach->probe[attach->probes++] = (struct attach_probe){
		.link = link,
		.plan = cookie & TP_COOKIE_PLAN,
		.until = lasts ? now() + lasts : 0,
	};
	return 0;
}

int attach_plan(struct attach *attach, const struct tp_plan *plan, int pid, const char *path,
		uint64_t offset)
{
	__u32 index = attach->plans;
	int err;

	if (index >= TP_PLANS)
		return -E2BIG;
	if (bpf_map_update_elem(bpf_map__fd(attach->skeleton->maps.plans), &index, plan, BPF_ANY))
		return -errno;
	/* The return probe first: a call that is caught at entry is then caught at return too. */
	err = plan->flags & TP_PLAN_AT_RETURN ? attach_probe(attach, index | TP_COOKIE_RETURN,
							     plan->lasts, pid, path, offset)
					      : 0;
	if (!err)
		err = attach_probe(attach, index, plan->lasts, pid, path, offset);
	if (err)
		return err;
	attach->plans++;
	return index;
}

int attach_expire(struct attach *attach)
{
	uint64_t time = now(), next = UINT64_MAX;

	for (unsigned int i = 0; i < attach->probes; i++) {
		struct attach_probe *probe = &attach->probe[i];

		if (!probe->link || !probe->until)
			continue;
		if (probe->until <= time) {
			bpf_link__destroy(probe->link);
			probe->link = NULL;
		} else if (probe->until < next) {
			next = probe->until;
		}
	}
	return next == UINT64_MAX ? -1 : (int)(next - time);
}

bool attach_is_on(const struct attach *attach, unsigned int plan)
{
	for (unsigned int i = 0; i < attach->probes; i++)
		if (attach->probe[i].plan == plan && attach->probe[i].link)
			return true;
	return false;
}

void attach_free(struct attach *attach)
{
	while (attach->probes)
		bpf_link__destroy(attach->probe[--attach->probes].link);
	attach->plans = 0;
}
