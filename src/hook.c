// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_link.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/fastpath.skel.h"
#include "bpf/fastpath_frags.skel.h"
#include "bpf/fastpath_tc.skel.h"
#include "src/engine.h"
#include "src/hook.h"

#define FILTER	    0x5450 /* priority of ours: "TP" */
#define TCX_INGRESS 46	   /* BPF_TCX_INGRESS of newer headers; Linux 6.6 */

static const char *const hook_names[] = {
	[HOOK_AUTO] = "auto",
	[HOOK_XDP] = "xdp",
	[HOOK_XDP_GENERIC] = "xdp-generic",
	[HOOK_TC] = "tc",
};

const char *hook_name(enum hook hook)
{
	return hook_names[hook];
}

bool hook_parse(const char *text, enum hook *ret)
{
	for (size_t i = 0; i < sizeof(hook_names) / sizeof(hook_names[0]); i++) {
		if (strcmp(text, hook_names[i]))
			continue;
		*ret = i;
		return true;
	}
	return false;
}

/* Of one buffer a frame, which costs nothing; what is too large for that takes several. */
static int hook_attach_xdp(struct engine *engine, enum hook hook, struct hook_link *link)
{
	LIBBPF_OPTS(bpf_link_create_opts, options,
		    .flags = hook == HOOK_XDP ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	int program = bpf_program__fd(engine->fastpath->progs.turnpike_xdp);
	int err;

	link->fd = bpf_link_create(program, link->ifindex, BPF_XDP, &options);
	err = link->fd < 0 ? -errno : 0;
	if (!err || err == -EBUSY || err == -EEXIST || engine_need_frags(engine))
		return err;
	program = bpf_program__fd(engine->frags->progs.turnpike_xdp_frags);
	link->fd = bpf_link_create(program, link->ifindex, BPF_XDP, &options);
	link->frags = link->fd >= 0;
	return link->fd < 0 ? err : 0;
}

/*
 * Before Linux 6.6 there are no links at TC. A filter stays when turnpike is killed,
 * until the next one: it passes everything once the lease is over. Its handle is
 * the server's process id.
 */
static int hook_attach_clsact(int program, uint32_t handle, struct hook_link *link)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = link->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program, .handle = handle, .priority = FILTER,
		    .flags = BPF_TC_F_REPLACE);
	int err = bpf_tc_hook_create(&hook);

	if (err && err != -EEXIST)
		return err;
	err = bpf_tc_attach(&hook, &options);
	link->filter = options.handle;
	link->priority = options.priority;
	return err;
}

static int hook_attach_tc(struct engine *engine, struct hook_link *link)
{
	int program, err = engine_need_tc(engine);

	if (err)
		return err;
	program = bpf_program__fd(engine->tc->progs.turnpike_tc);
	link->fd = bpf_link_create(program, link->ifindex, TCX_INGRESS, NULL);
	if (link->fd >= 0)
		return 0;
	return hook_attach_clsact(program, engine->pid ? engine->pid : 1, link);
}

int hook_attach(struct engine *engine, uint32_t ifindex, enum hook hook, struct hook_link *ret)
{
	struct hook_link link = {.fd = -1, .ifindex = ifindex};
	int err = hook == HOOK_TC ? hook_attach_tc(engine, &link)
				  : hook_attach_xdp(engine, hook, &link);

	if (!err)
		*ret = link;
	return err;
}

/* Of newer headers: BPF_LINK_TYPE_TCX. */
enum { LINK_XDP = 6, LINK_TCX = 11 };

int hook_adopt(struct engine *engine, uint32_t ifindex, int fd, enum hook *ret_hook,
	       struct hook_link *ret)
{
	struct hook_link link = {.fd = fd, .ifindex = ifindex};
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_link_info info = {};
	__u32 length = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return -errno;
	if (info.type == LINK_TCX) {
		if (engine_need_tc(engine) ||
		    bpf_link_update(fd, bpf_program__fd(engine->tc->progs.turnpike_tc), NULL))
			return -EOPNOTSUPP;
		*ret_hook = HOOK_TC;
		*ret = link;
		return 0;
	}
	if (info.type != LINK_XDP || bpf_xdp_query(ifindex, 0, &query))
		return -EINVAL;
	if (bpf_link_update(fd, bpf_program__fd(engine->fastpath->progs.turnpike_xdp), NULL)) {
		if (engine_need_frags(engine) ||
		    bpf_link_update(fd, bpf_program__fd(engine->frags->progs.turnpike_xdp_frags),
				    NULL))
			return -EOPNOTSUPP;
		link.frags = true;
	}
	*ret_hook = query.attach_mode == XDP_ATTACHED_SKB ? HOOK_XDP_GENERIC : HOOK_XDP;
	*ret = link;
	return 0;
}

void hook_detach(struct hook_link *link)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = link->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = link->filter, .priority = link->priority);

	if (link->fd >= 0)
		close(link->fd);
	if (link->filter)
		bpf_tc_detach(&hook, &options);
	link->fd = -1;
	link->filter = 0;
}
