/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef EXEC_TRACE_H
#define EXEC_TRACE_H

#include "types.h"

enum { COMM = 16, FILENAME = 128 };

/* One program started. */
struct exec_event {
	__u64 time; /* ns since boot (CLOCK_MONOTONIC) */
	__u32 pid;
	__u32 parent;
	__u32 uid;
	__u32 gid;
	char comm[COMM];
	char filename[FILENAME]; /* cut to fit, always ends in NUL */
};

#endif
