/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A small program, and the same one behind calls that are not inlined. */
#include "types.h"
#include <bpf/bpf_helpers.h>

static __always_inline int look(struct xdp_md *ctx)
{
	__u8 *first = (void *)(long)ctx->data;

	return (void *)(first + 1) > (void *)(long)ctx->data_end ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int step(struct xdp_md *ctx)
{
	return look(ctx);
}

/* Not static: each is verified, and called, by itself. */
#define CALLED(n)                                     \
	__noinline int called_##n(struct xdp_md *ctx) \
	{                                             \
		return look(ctx);                     \
	}

CALLED(1)
CALLED(2)
CALLED(3)
CALLED(4)
CALLED(5)
CALLED(6)
CALLED(7)
CALLED(8)

#define CALL(n)                           \
	do {                              \
		int verdict = called_##n(ctx); \
                                          \
		if (verdict != XDP_PASS)  \
			return verdict;   \
	} while (0)

SEC("xdp")
int calls_1(struct xdp_md *ctx)
{
	CALL(1);
	return XDP_PASS;
}

SEC("xdp")
int calls_4(struct xdp_md *ctx)
{
	CALL(1);
	CALL(2);
	CALL(3);
	CALL(4);
	return XDP_PASS;
}

SEC("xdp")
int calls_8(struct xdp_md *ctx)
{
	CALL(1);
	CALL(2);
	CALL(3);
	CALL(4);
	CALL(5);
	CALL(6);
	CALL(7);
	CALL(8);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
