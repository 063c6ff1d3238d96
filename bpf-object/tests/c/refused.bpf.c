/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Programs that cannot be woven, each for a reason of its own. */
#include "bpf.h"

int packet_load(struct __sk_buff *ctx);

struct {
	__uint(type, MAP_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
#ifdef PINNED
	__uint(pinning, 1);
#endif
#ifdef FILLED
	__array(values, int(struct __sk_buff *));
#endif
} own_next SEC(".maps")
#ifdef FILLED
= { .values = { packet_load } }
#endif
;

unsigned long long load_byte(void *skb, unsigned long long at) asm("llvm.bpf.load.byte");

SEC("tc") int packet_load(struct __sk_buff *ctx)
{
	return load_byte(ctx, 12) == 8 ? 2 : 0;
}

SEC("tc") inline_never int called(struct __sk_buff *ctx)
{
	return ctx->len > 100 ? 2 : 0;
}

SEC("tc") int calls(struct __sk_buff *ctx)
{
	return called(ctx) + 1;
}

SEC("tc") int stack_full(struct __sk_buff *ctx)
{
	asm volatile("*(u64 *)(r10 - 512) = %0" ::"r"((__u64)ctx->len));
	return 0;
}

SEC("tc") int tail_calls(struct __sk_buff *ctx)
{
	tail_call(ctx, &own_next, 0);
	return 0;
}

SEC("tc") int never_returns(struct __sk_buff *ctx)
{
	for (;;)
		asm volatile("r0 = 0" ::: "r0");
}

/* Its loop goes back to the first instruction. */
SEC("tc") __attribute__((naked)) int loops_to_start(struct __sk_buff *ctx)
{
	asm volatile("again: r0 = 0; if r1 == 0 goto again; exit");
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
