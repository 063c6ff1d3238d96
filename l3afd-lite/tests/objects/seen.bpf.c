/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Counts what it sees, and ends the chain when it is told to. */
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) typeof(value) *name

typedef unsigned int __u32;
typedef unsigned long long __u64;

#define XDP_DROP 1
#define XDP_PASS 2
#define TC_ACT_OK 0
#define TC_ACT_SHOT 2

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;

/* Returned when the program is not told to stop. */
const volatile __u32 verdict = XDP_PASS;

struct {
	__uint(type, 6 /* BPF_MAP_TYPE_PERCPU_ARRAY */);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

struct {
	__uint(type, 2 /* BPF_MAP_TYPE_ARRAY */);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} stop SEC(".maps");

static inline __attribute__((always_inline)) int count(void)
{
	__u32 key = 0;
	__u64 *packets = bpf_map_lookup_elem(&seen, &key);
	__u32 *told = bpf_map_lookup_elem(&stop, &key);

	if (packets)
		(*packets)++;
	return told && *told;
}

SEC("xdp")
int seen_xdp(void *ctx)
{
	return count() ? XDP_DROP : verdict;
}

SEC("classifier")
int seen_tc(void *ctx)
{
	return count() ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tracepoint/sched/sched_process_exec")
int seen_exec(void *ctx)
{
	count();
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
