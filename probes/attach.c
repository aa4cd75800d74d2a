// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "probes/attach.h"
#include "probes/uprobe.skel.h"

static int attach_probe(struct attach *attach, uint64_t cookie, int pid, const char *path,
			uint64_t offset)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = cookie,
		    .retprobe = cookie & TP_COOKIE_RETURN);
	struct bpf_link *link;

	link = bpf_program__attach_uprobe_opts(attach->skeleton->progs.turnpike_probe, pid, path,
					       offset, &opts);
	if (!link)
		return -errno;
	attach->link[attach->links++] = link;
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
	err = plan->flags & TP_PLAN_AT_RETURN
		      ? attach_probe(attach, index | TP_COOKIE_RETURN, pid, path, offset)
		      : 0;
	if (!err)
		err = attach_probe(attach, index, pid, path, offset);
	if (err)
		return err;
	attach->plans++;
	return index;
}

void attach_free(struct attach *attach)
{
	while (attach->links)
		bpf_link__destroy(attach->link[--attach->links]);
	attach->plans = 0;
}
