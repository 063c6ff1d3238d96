/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Section names of other tools. */
#include "bpf.h"

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

static inline_never int note(__u32 more)
{
	__u32 key = 0;
	__u64 *count = map_lookup(&seen, &key);

	if (count)
		*count += more;
	return 0;
}

SEC("xdp_ratelimiting") int limit(struct xdp_md *ctx)
{
	note(ctx->data_end - ctx->data > 10 ? 1 : 2);
	return 2;
}

SEC("tcx/ingress") int in(struct __sk_buff *ctx)
{
	return note(10);
}

SEC("tc_egress") int out(struct __sk_buff *ctx)
{
	return note(100);
}

SEC("struct_ops/never") int never(void *ctx)
{
	return 0;
}

#ifdef TWO
SEC("xdp") int second(struct xdp_md *ctx)
{
	note(ctx->data_end - ctx->data > 10 ? 1000 : 2000);
	return 1;
}
#endif

char LICENSE[] SEC("license") = "Dual MIT/GPL";
