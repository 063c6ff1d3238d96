/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Members of a chain, for both hooks. Byte 14 + ME of the packet tells the
 * program ME which verdict to return, so that one loaded chain can be tried
 * with every place to stop.
 */
#ifndef CHAIN_H
#define CHAIN_H

#include "bpf.h"

#ifdef TC
#define context struct __sk_buff
#define HOOK "classifier"
#define PASS 0
#else
#define context struct xdp_md
#define HOOK "xdp"
#define PASS 2
#endif

static inline_always int verdict(context *ctx, int me)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 14 + 8 > end)
		return PASS;
	return (signed char)data[14 + me];
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#endif
