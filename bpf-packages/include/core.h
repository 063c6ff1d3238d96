/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Structures inside the kernel: only the fields that are used. Their offsets
 * differ from kernel to kernel and are relocated at load from its BTF.
 */
#ifndef PACKAGES_CORE_H
#define PACKAGES_CORE_H

#include "types.h"

#define CORE __attribute__((preserve_access_index))

struct task_struct {
	__s32 tgid;
	struct task_struct *real_parent;
} CORE;

/* Context of the tracepoint sched:sched_process_exec. */
struct trace_event_raw_sched_process_exec {
	__u32 __data_loc_filename; /* low half: offset from the context; high half: length */
} CORE;

#endif
