/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The older form of maps, and a tail call of its own into an empty array. */
#include "chain.h"
#define ME 3

struct map_definition {
	__u32 type, key_size, value_size, max_entries, flags;
};

struct map_definition SEC("maps") delta_runs = { MAP_ARRAY, 4, 8, 1, 0 };
struct map_definition SEC("maps") delta_next = { MAP_PROG_ARRAY, 4, 4, 1, 0 };

SEC(HOOK) int delta(context *ctx)
{
	__u32 key = 0;
	__u64 *runs = map_lookup(&delta_runs, &key);

	if (runs)
		__sync_fetch_and_add(runs, 1);
	tail_call(ctx, &delta_next, 0);
	return verdict(ctx, ME);
}
