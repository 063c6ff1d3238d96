/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Global variables, and a callback in another section. */
#include "chain.h"
#define ME 2

const volatile __u32 rounds = 3;
const volatile __u8 table[4] = { 1, 2, 3, 4 };
__u64 gamma_runs;
__u32 gamma_last = 7;

static long once(__u32 index, void *data)
{
	__u64 *sum = data;

	*sum += table[index & 3];
	return 0;
}

SEC(HOOK) int gamma(context *ctx)
{
	__u64 sum = 0;

	loop(rounds, once, &sum, 0);
	gamma_runs += 1;
	gamma_last = sum;
	return verdict(ctx, ME);
}
