/* How a process or thread is numbered in the pid namespace where the user looks. */
#ifndef EPULSE_BPF_LIB_PIDS_H
#define EPULSE_BPF_LIB_PIDS_H

#include "lib/bpf.h"

/* Its number in the namespace `level` below the first one, of those that the task is in; 0 when it
 * is in none that deep. `numbers` ends struct pid and has room for one or none by its type, so it
 * is indexed by hand. */
static __always_inline __u32 pid_at_level(const struct task_struct* task, __u32 level) {
  const struct pid* pid = BPF_CORE_READ(task, thread_pid);
  __u64 number;
  int nr = 0;
  if (!pid || level > BPF_CORE_READ(pid, level)) return 0;
  number = (__u64)pid + bpf_core_field_offset(struct pid, numbers) +
           (__u64)level * bpf_core_type_size(struct upid) + bpf_core_field_offset(struct upid, nr);
  bpf_probe_read_kernel(&nr, sizeof(nr), (const void*)number);
  return (__u32)nr;
}

/* The depth of the current task's own pid namespace. */
static __always_inline __u32 current_pid_level(void) {
  const struct task_struct* task = (const void*)bpf_get_current_task();
  return BPF_CORE_READ(task, thread_pid, level);
}

#endif
