/* SPDX-License-Identifier: 0BSD */
/* Counts received packets and their bytes, and lets them all pass. */

/* The few definitions that this program needs; it compiles without any header. */
typedef unsigned int __u32;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int(*name)[value]
#define __type(name, value) value *name

enum { BPF_MAP_TYPE_PERCPU_ARRAY = 6 };
enum { XDP_PASS = 2 };

struct xdp_md {
	__u32 data;
	__u32 data_end;
};

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;

/* Keys of the map `counters`; package.toml names them too. */
enum { PACKETS, BYTES, COUNTERS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static inline __attribute__((always_inline)) void add(__u32 counter, __u64 amount)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	/* The map is per CPU, so no other program runs between reading and writing. */
	if (value)
		*value += amount;
}

SEC("xdp")
int count_packets(struct xdp_md *ctx)
{
	add(PACKETS, 1);
	add(BYTES, (__u64)ctx->data_end - ctx->data);
	return XDP_PASS;
}

/* The kernel asks for this: "GPL" and its like may call more helpers. */
char _license[] SEC("license") = "0BSD";
