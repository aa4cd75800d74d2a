// SPDX-License-Identifier: GPL-2.0-only
/* Filters at clsact, which stay when their turnpike is killed: their handle is the server's process
 * id. */
#include <string.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <bpf/libbpf.h>
#include "src/rtnetlink.h"

struct filters {
	netlink_is_served_fn *is_served;
	uint32_t ifindex;
	struct {
		uint32_t handle, priority;
	} stale[16];
	unsigned int count;
};

static bool filter_is_ours(const struct nlattr *options)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, options)
	{
		if (mnl_attr_get_type(attr) == TCA_BPF_NAME)
			return !strncmp(mnl_attr_get_str(attr), "turnpike_tc",
					strlen("turnpike_tc"));
	}
	return false;
}

static int filter_found(const struct nlmsghdr *header, void *data)
{
	const struct tcmsg *message = mnl_nlmsg_get_payload(header);
	struct filters *filters = data;
	const struct nlattr *attr;
	bool ours = false;

	mnl_attr_for_each(attr, header, sizeof(*message))
	{
		if (mnl_attr_get_type(attr) == TCA_OPTIONS)
			ours = filter_is_ours(attr);
	}
	if (!ours || message->tcm_ifindex != (int)filters->ifindex || !message->tcm_handle ||
	    filters->is_served(message->tcm_handle) ||
	    filters->count == sizeof(filters->stale) / sizeof(filters->stale[0]))
		return MNL_CB_OK;
	filters->stale[filters->count].handle = message->tcm_handle;
	filters->stale[filters->count++].priority = message->tcm_info >> 16;
	return MNL_CB_OK;
}

void netlink_sweep_filters(struct netlink *netlink, uint32_t ifindex,
			   netlink_is_served_fn *is_served)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	struct filters filters = {.is_served = is_served, .ifindex = ifindex};
	char buffer[MNL_NLMSG_HDRLEN + 64];
	struct nlmsghdr *header = netlink_request(buffer, RTM_GETTFILTER, NLM_F_DUMP);
	struct tcmsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));

	message->tcm_family = AF_UNSPEC;
	message->tcm_ifindex = ifindex;
	message->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	netlink_talk(netlink, netlink->ask, header, filter_found, &filters);
	for (unsigned int i = 0; i < filters.count; i++) {
		LIBBPF_OPTS(bpf_tc_opts, options, .handle = filters.stale[i].handle,
			    .priority = filters.stale[i].priority);

		bpf_tc_detach(&hook, &options);
	}
}
