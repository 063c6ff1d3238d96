/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Limits new TCP connections (SYNs) per second to chosen ports. */
#include "types.h"
#include <bpf/bpf_helpers.h>
#include "counter.h"
#include "packet.h"
#include "ratelimiting.h"

enum {
	MAX_PORTS = 1024,
	ALL_PORTS = 0, /* key of the window that all limited ports share; no port is 0 */
};

/* Connections per second; 0 = no limit. */
enum { RATE_OF_ALL_PORTS, RATE_OF_EACH_PORT, RATES };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RATES);
	__type(key, __u32);
	__type(value, __u64);
} rl_config_map SEC(".maps");

/* Destination ports, host order. That a port is listed counts, not its value. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u16);
	__type(value, __u8);
} rl_ports_map SEC(".maps");

/* One window per port seen and one for all; large enough for every port there is. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct window);
} rl_window_map SEC(".maps");

/* SYNs to limited ports, at key 0. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u64);
} rl_recv_count_map SEC(".maps");

/* SYNs dropped, at key 0. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u64);
} rl_drop_count_map SEC(".maps");

/* The destination port of a packet that asks for a new connection, or 0. */
static __always_inline __u16 syn_port(struct xdp_md *ctx)
{
	struct cursor c = CURSOR(ctx);
	struct tcp_header *tcp;
	int protocol;

	switch (next_ethertype(&c)) {
	case ETHERTYPE_IPV4:
		protocol = next_ipv4(&c);
		break;
	case ETHERTYPE_IPV6:
		protocol = next_ipv6(&c);
		break;
	default:
		return 0;
	}
	if (protocol != PROTOCOL_TCP)
		return 0;
	tcp = whole_tcp(&c);
	if (!tcp || (tcp->flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return 0;
	return bpf_ntohs(tcp->destination);
}

static __always_inline __u64 rate(__u32 which)
{
	__u64 *value = bpf_map_lookup_elem(&rl_config_map, &which);

	return value ? *value : 0;
}

static __always_inline struct window *window(__u32 key)
{
	struct window *found = bpf_map_lookup_elem(&rl_window_map, &key);

	if (!found) {
		struct window empty = {};

		bpf_map_update_elem(&rl_window_map, &key, &empty, BPF_NOEXIST);
		found = bpf_map_lookup_elem(&rl_window_map, &key);
	}
	return found;
}

/* Counts the connection in both windows, or in none when one of them is full. */
static __always_inline bool admit(__u16 port)
{
	__u64 rate_of_all = rate(RATE_OF_ALL_PORTS), rate_of_each = rate(RATE_OF_EACH_PORT);
	struct window *all = window(ALL_PORTS), *each = window(port);
	__u64 now = bpf_ktime_get_ns();
	bool room;

	/* Out of memory for windows: limiting is not worth losing traffic over. */
	if (!all || !each)
		return true;
	/* One lock guards every window: no CPU can slip between the two checks. */
	bpf_spin_lock(&all->lock);
	window_advance(all, now);
	window_advance(each, now);
	room = window_has_room(all, now, rate_of_all) && window_has_room(each, now, rate_of_each);
	if (room) {
		all->current++;
		each->current++;
	}
	bpf_spin_unlock(&all->lock);
	return room;
}

SEC("xdp")
int limit_syn(struct xdp_md *ctx)
{
	__u16 port = syn_port(ctx);
	__u64 key = 0;

	if (!port || !bpf_map_lookup_elem(&rl_ports_map, &port))
		return XDP_PASS;
	count_at(&rl_recv_count_map, &key);
	if (admit(port))
		return XDP_PASS;
	count_at(&rl_drop_count_map, &key);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
