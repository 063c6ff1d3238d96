/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a program can do: one program for each thing, named after it. */
#include "bpf.h"

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, MAP_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

static inline_never void add(__u64 *to, __u64 more)
{
	*to += more;
}

static inline_never int write_first(__u8 *at)
{
	*at = 1;
	return 2;
}

SEC("xdp") int pass(struct xdp_md *ctx)
{
	return 2;
}

SEC("xdp") int count(struct xdp_md *ctx)
{
	__u32 key = ctx->data_end - ctx->data > 100;
	__u64 *count = map_lookup(&counts, &key);

	if (count)
		add(count, 1);
	return 2;
}

SEC("xdp") int drop(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data > 100 ? 1 : 2;
}

SEC("xdp") int drop_by_map(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *verdict = map_lookup(&counts, &key);

	return verdict ? (int)*verdict : 2;
}

SEC("xdp") int write_packet(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 14 <= end)
		data[0] = 1;
	return 2;
}

SEC("xdp") int write_packet_in_subprogram(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	return data + 14 <= end ? write_first(data) : 2;
}

SEC("xdp") int send_payload(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 64 <= end)
		ringbuf_output(&events, data, 64, 0);
	return 2;
}

SEC("xdp") int send_elsewhere(struct xdp_md *ctx)
{
	return redirect(3, 0);
}

SEC("tc") int mirror(struct __sk_buff *ctx)
{
	clone_redirect(ctx, 3, 0);
	return 0;
}

SEC("tc") int shoot(struct __sk_buff *ctx)
{
	return ctx->len > 1000 ? 2 : 0;
}

SEC("tc") int leave_to_others(struct __sk_buff *ctx)
{
	return -1;
}

SEC("tracepoint/syscalls/sys_enter_openat") int read_user(void *ctx)
{
	__u64 word = 0;

	probe_read_user(&word, sizeof(word), ctx);
	ringbuf_output(&events, &word, sizeof(word), 0);
	return 0;
}

SEC("kprobe/do_unlinkat") int write_user(void *ctx)
{
	__u64 word = current_pid();

	probe_write_user(ctx, &word, sizeof(word));
	return 0;
}

#ifndef LICENCE
#define LICENCE "Dual MIT/GPL"
#endif
#ifndef NO_LICENCE
char LICENSE[] SEC("license") = LICENCE;
#endif
