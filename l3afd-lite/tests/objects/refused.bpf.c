/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Reads a packet without looking where it ends: the kernel's verifier refuses it. */
#define SEC(name) __attribute__((section(name), used))

struct xdp_md {
	unsigned int data;
	unsigned int data_end;
};

SEC("xdp")
int careless(struct xdp_md *ctx)
{
	return *(volatile unsigned char *)(long)ctx->data ? 2 : 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
