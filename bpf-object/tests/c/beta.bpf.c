/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Much stack, a hash map keyed by a structure, and a function of its own. */
#include "chain.h"
#define ME 1

struct place {
	__u32 a;
	__u32 b;
	__u8 text[24];
};

struct tally {
	__u64 runs;
	__u32 last;
	struct {
		__u16 low;
		__u16 high;
	} part;
};

struct {
	__uint(type, MAP_HASH);
	__uint(max_entries, 64);
	__type(key, struct place);
	__type(value, struct tally);
} beta_tallies SEC(".maps");

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} beta_runs SEC(".maps");

static inline_never int mix(__u32 *numbers, int count)
{
	int sum = 0;

	for (int i = 0; i < 32; i++)
		sum += numbers[i & 31] * (count + i);
	return sum;
}

SEC(HOOK) int beta(context *ctx)
{
	__u32 numbers[32] = {}, zero = 0;
	struct place place = { .a = 1, .b = 2, .text = "beta" };
	struct tally first = { .runs = 1 }, *tally;
	__u64 *runs = map_lookup(&beta_runs, &zero);

	numbers[3] = ktime_get_ns();
	place.a = mix(numbers, 3) & 3;
	if (runs)
		*runs += 1;
	tally = map_lookup(&beta_tallies, &place);
	if (tally)
		tally->runs += 1;
	else
		map_update(&beta_tallies, &place, &first, 0);
	return verdict(ctx, ME);
}
