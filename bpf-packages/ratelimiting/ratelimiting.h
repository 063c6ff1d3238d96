/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The arithmetic of the sliding window, apart from clock, lock and maps, so that
 * it can be checked to the nanosecond.
 */
#ifndef RATELIMITING_H
#define RATELIMITING_H

#include "types.h"

#define SECOND 1000000000ULL /* ns: the length of a window */
#define MAX_RATE 1000000000ULL /* above it, nothing is limited; below it, no product overflows */

struct window {
	__u64 start;    /* ns since boot (CLOCK_MONOTONIC) */
	__u64 current;  /* connections accepted since start */
	__u64 previous; /* connections accepted in the second before start */
	struct bpf_spin_lock lock;
};

/* Moves the window on to the second that `now` falls into. */
static __always_inline void window_advance(struct window *w, __u64 now)
{
	__u64 age;

	/* `now` was read before the lock was taken, so it may lie before `start`. */
	if (now < w->start + SECOND)
		return;
	age = now - w->start;
	w->previous = age < 2 * SECOND ? w->current : 0;
	w->current = 0;
	w->start += age - age % SECOND;
}

/*
 * Is there room for one more connection in the second that ends `now`? The last
 * second is the current window and the part of the previous one that it still
 * reaches into; with the newcomer it may hold `rate` connections, not one more.
 * A rate of 0 means no limit, so an empty configuration stops nothing.
 */
static __always_inline bool window_has_room(const struct window *w, __u64 now, __u64 rate)
{
	__u64 age = now > w->start ? now - w->start : 0;

	if (rate == 0 || rate > MAX_RATE)
		return true;
	return w->previous * (SECOND - age) + (w->current + 1) * SECOND <= rate * SECOND;
}

#endif
