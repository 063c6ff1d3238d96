/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Several exits, a per-CPU map, a loop, and two programs in one section. */
#include "chain.h"
#define ME 0

struct {
	__uint(type, MAP_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} alpha_runs SEC(".maps");

SEC(HOOK) int before_alpha(context *ctx)
{
	return verdict(ctx, 7) == 77 ? 1 : PASS;
}

SEC(HOOK) int alpha(context *ctx)
{
	__u32 key = 0;
	__u64 *runs = map_lookup(&alpha_runs, &key);
	int sum = 0;

	if (!runs)
		return 1;
	*runs += 1;
#pragma clang loop unroll(disable)
	for (int i = 0; i < 16; i++)
		sum += ktime_get_ns() & 1;
	if (sum > 16)
		return 1;
	return verdict(ctx, ME);
}

SEC(HOOK) int after_alpha(context *ctx)
{
	__u32 key = 0;
	__u64 *runs = map_lookup(&alpha_runs, &key);

	return runs ? (int)*runs & 1 : PASS;
}
