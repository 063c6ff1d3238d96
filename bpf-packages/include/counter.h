/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Counters in maps. Atomic adds never use their result: that needs Linux 5.12. */
#ifndef PACKAGES_COUNTER_H
#define PACKAGES_COUNTER_H

#include "types.h"
#include <bpf/bpf_helpers.h>

/*
 * Adds one to the u64 at `key`, which is created when absent: a counter works
 * whether or not somebody initialised it. A full map loses the count, no more.
 */
static __always_inline void count_at(void *map, const void *key)
{
	__u64 *value = bpf_map_lookup_elem(map, key);

	if (!value) {
		__u64 zero = 0;

		/* Another CPU may create it first: then ours is refused and theirs is found. */
		bpf_map_update_elem(map, key, &zero, BPF_NOEXIST);
		value = bpf_map_lookup_elem(map, key);
	}
	if (value)
		__sync_fetch_and_add(value, 1);
}

/* Adds one to a per-CPU array, in one step: an interrupt may count there too. */
static __always_inline void count_on_cpu(void *per_cpu_array, __u32 key)
{
	__u64 *value = bpf_map_lookup_elem(per_cpu_array, &key);

	if (value)
		__sync_fetch_and_add(value, 1);
}

#endif
