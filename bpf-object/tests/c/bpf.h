/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The little that the test programs need of the kernel's interface. */
#ifndef BPF_H
#define BPF_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int(*name)[value]
#define __type(name, type) typeof(type) *name
#define __array(name, type) typeof(type) *name[]
#define inline_always inline __attribute__((always_inline))
#define inline_never __attribute__((noinline))

enum { MAP_HASH = 1, MAP_ARRAY = 2, MAP_PROG_ARRAY = 3, MAP_PERCPU_ARRAY = 6, MAP_LRU_HASH = 9, MAP_RINGBUF = 27 };

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const map_update)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static __u64 (*const ktime_get_ns)(void) = (void *)5;
static long (*const tail_call)(void *context, void *map, __u32 index) = (void *)12;
static long (*const clone_redirect)(void *context, __u32 interface, __u64 flags) = (void *)13;
static __u64 (*const current_pid)(void) = (void *)14;
static long (*const redirect)(__u32 interface, __u64 flags) = (void *)23;
static long (*const perf_event_output)(void *context, void *map, __u64 flags, void *data, __u64 size) = (void *)25;
static long (*const probe_write_user)(void *to, const void *from, __u32 size) = (void *)36;
static long (*const probe_read_user)(void *to, __u32 size, const void *from) = (void *)112;
static long (*const probe_read_kernel)(void *to, __u32 size, const void *from) = (void *)113;
static long (*const ringbuf_output)(void *map, void *data, __u64 size, __u64 flags) = (void *)130;
static long (*const loop)(__u32 count, void *callback, void *context, __u64 flags) = (void *)181;

/* Context of XDP; relocated like any kernel type, so that CO-RE is in use. */
struct xdp_md {
	__u32 data;
	__u32 data_end;
} __attribute__((preserve_access_index));

/* Context of traffic control, as far as it is used. */
struct __sk_buff {
	__u32 len;
	__u32 before[18];
	__u32 data;
	__u32 data_end;
};

#endif
