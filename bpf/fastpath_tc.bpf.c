// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fast path at TC. An skb knows more of its packet than its bytes do, and
 * that has to stay true: where its checksum is begun, what it was summed to.
 */
#define HOOK_TC
#include "bpf/fastpath.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* The widest headers, with a channel's: to be read directly. */
#define TC_HEADERS 66

static __always_inline int pull_headers(struct __sk_buff *skb)
{
	__u32 length = skb->len;

	if (likely(context_data(skb) + TC_HEADERS <= context_end(skb)) ||
	    length == skb->data_end - skb->data)
		return 0;
	return bpf_skb_pull_data(skb, length < TC_HEADERS ? length : TC_HEADERS);
}

/* Apart, so that its stack isn't there when IPv6 needs all that there is. */
static __noinline int receive_v4_tc(struct __sk_buff *skb)
{
	return receive_v4(skb);
}

SEC("tc")
int turnpike_tc(struct __sk_buff *skb)
{
	int verdict;

	/* Not ours to relay: to another machine, tagged, or several datagrams in one. */
	if (skb->pkt_type != 0 || skb->vlan_present || skb->gso_size || pull_headers(skb))
		return VERDICT_PASS;
	verdict = receive_v4_tc(skb);
	if (verdict == TO_V6)
		return receive_v6(skb);
	return verdict == TO_TAGGED ? VERDICT_PASS : verdict; /* a second tag: a VLAN device's */
}
