/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Counts packets and bytes by protocol, where XDP or TC sees them. */
#include "types.h"
#include <bpf/bpf_helpers.h>
#include "packet.h"
#include "packet-count.h"

enum { HEADERS = 128 }; /* bytes wanted in one piece: Ethernet, two tags, IPv6, extension headers */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KINDS);
	__type(key, __u32);
	__type(value, struct traffic);
} packet_counts SEC(".maps");

static __always_inline void add(__u32 kind, __u64 bytes)
{
	struct traffic *traffic = bpf_map_lookup_elem(&packet_counts, &kind);

	if (!traffic)
		return;
	/* One CPU, but egress can be entered again from an interrupt: add in one step. */
	__sync_fetch_and_add(&traffic->packets, 1);
	__sync_fetch_and_add(&traffic->bytes, bytes);
}

static __always_inline __u32 transport(int protocol)
{
	switch (protocol) {
	case PROTOCOL_TCP:
		return KIND_TCP;
	case PROTOCOL_UDP:
		return KIND_UDP;
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		return KIND_ICMP;
	default:
		return KIND_OTHER_IP;
	}
}

static __always_inline void count(struct cursor c, __u64 bytes)
{
	switch (next_ethertype(&c)) {
	case ETHERTYPE_IPV4:
		add(KIND_IPV4, bytes);
		add(transport(next_ipv4(&c)), bytes);
		break;
	case ETHERTYPE_IPV6:
		add(KIND_IPV6, bytes);
		add(transport(next_ipv6(&c)), bytes);
		break;
	case ETHERTYPE_ARP:
		add(KIND_ARP, bytes);
		break;
	default:
		add(KIND_OTHER, bytes);
	}
}

SEC("xdp")
int count_xdp(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);

	count(c, c.end - c.at);
	return XDP_PASS;
}

/* Received or sent: wherever it is attached. */
SEC("classifier")
int count_tc(struct __sk_buff *skb)
{
	__u32 wanted = skb->len < HEADERS ? skb->len : HEADERS;
	struct cursor c = CURSOR(skb);

	/* Some drivers leave headers outside the linear part of the buffer: fetch them. */
	if (c.at + wanted > c.end)
		bpf_skb_pull_data(skb, wanted);
	count((struct cursor)CURSOR(skb), skb->len);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
