/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Asks the window's arithmetic a question in the packet, so that the test owns the clock. */
#include "types.h"
#include <bpf/bpf_helpers.h>
#include "../ratelimiting.h"

struct question {
	__u64 now, rate;
	__u64 start, current, previous; /* the window, before; and after, in the answer */
};

SEC("xdp")
int ask(struct xdp_md *ctx)
{
	struct question *q = (void *)(long)ctx->data;
	struct window w = {};

	if ((void *)(q + 1) > (void *)(long)ctx->data_end)
		return -1;
	w.start = q->start;
	w.current = q->current;
	w.previous = q->previous;
	window_advance(&w, q->now);
	q->start = w.start;
	q->current = w.current;
	q->previous = w.previous;
	return window_has_room(&w, q->now, q->rate);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
