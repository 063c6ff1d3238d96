/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Counts and reports every program that is started on the machine. */
#include "types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "core.h"
#include "counter.h"
#include "exec-trace.h"

/* Users below this id are not traced; set by the loader from package.toml. */
const volatile __u32 min_uid = 0;

enum { EXECS, LOST, COUNTERS }; /* LOST: events for which the ring buffer had no room */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} exec_counts SEC(".maps");

struct name {
	char comm[COMM];
};

/* Starts by command name; the names least used give way when it is full. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct name);
	__type(value, __u64);
} execs_by_comm SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} exec_events SEC(".maps");

/* A ring buffer does not name the type of its records; this keeps it in the object's BTF. */
const struct exec_event *const volatile exec_event_type = NULL;

static __always_inline void
fill(struct exec_event *event, struct trace_event_raw_sched_process_exec *ctx, const struct name *name)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 user = bpf_get_current_uid_gid();

	event->time = bpf_ktime_get_ns();
	event->pid = bpf_get_current_pid_tgid() >> 32;
	event->parent = BPF_CORE_READ(task, real_parent, tgid);
	event->uid = user;
	event->gid = user >> 32;
	__builtin_memcpy(event->comm, name->comm, COMM);
	if (bpf_probe_read_kernel_str(event->filename, FILENAME,
				      (void *)ctx + (ctx->__data_loc_filename & 0xffff)) < 0)
		event->filename[0] = 0;
}

SEC("tracepoint/sched/sched_process_exec")
int trace_exec(struct trace_event_raw_sched_process_exec *ctx)
{
	struct exec_event *event;
	struct name name = {};

	if ((__u32)bpf_get_current_uid_gid() < min_uid)
		return 0;
	bpf_get_current_comm(&name, sizeof(name));
	count_on_cpu(&exec_counts, EXECS);
	count_at(&execs_by_comm, &name);
	event = bpf_ringbuf_reserve(&exec_events, sizeof(*event), 0);
	if (!event) {
		count_on_cpu(&exec_counts, LOST);
		return 0;
	}
	fill(event, ctx, &name);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
