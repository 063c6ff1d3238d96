/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a program needs of the kernel's user-space ABI: fixed-width types, map
 * types, contexts and verdicts. This ABI never changes, so nothing here is
 * relocated, and an object has the same bytes wherever it is built.
 */
#ifndef PACKAGES_TYPES_H
#define PACKAGES_TYPES_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u16 __sum16;
typedef __u32 __wsum;
typedef _Bool bool;

#define true 1
#define false 0

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_NOEXIST = 1,       /* flag of bpf_map_update_elem */
	BPF_F_NO_PREALLOC = 1, /* flag of a map: memory only for the entries in use */
};

enum xdp_action {
	XDP_DROP = 1,
	XDP_PASS = 2,
};

enum {
	TC_ACT_UNSPEC = -1, /* no opinion: whoever comes next decides */
};

struct xdp_md {
	__u32 data;
	__u32 data_end;
};

/* The first twenty words of the context of TC, as far as data_end. */
struct __sk_buff {
	__u32 len;
	__u32 before_data[18];
	__u32 data;
	__u32 data_end;
};

/* The verifier recognises the lock by this name and shape. */
struct bpf_spin_lock {
	__u32 val;
};

#endif
