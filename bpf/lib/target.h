/* Whose events are measured. */
#ifndef EPULSE_BPF_LIB_TARGET_H
#define EPULSE_BPF_LIB_TARGET_H

#include "lib/bpf.h"
#include "lib/pids.h"

#define TARGETS_MAX 1024

/* The one process, as the kernel numbers it, set before load: the cheapest to compare with. 0:
 * those in `targets`. */
const volatile __u32 target_tgid = 0;
/* How deep user space's pid namespace is, set before load; 0: it sees the kernel's own numbers. */
const volatile __u32 user_pid_level = 0;

/* By tgid as the kernel numbers it: the same as user space sees it. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, TARGETS_MAX);
  __type(key, __u32);
  __type(value, __u32);
} targets SEC(".maps");

__u64 targets_dropped = 0; /* new processes that found no room */

static __always_inline bool is_target(__u32 tgid) {
  if (target_tgid) return tgid == target_tgid;
  return bpf_map_lookup_elem(&targets, &tgid) != 0;
}

static __always_inline bool current_is_target(void) {
  return is_target((__u32)(bpf_get_current_pid_tgid() >> 32));
}

/* The task's number where user space is. */
static __always_inline __u32 user_pid(const struct task_struct* task) {
  return user_pid_level ? pid_at_level(task, user_pid_level) : (__u32)BPF_CORE_READ(task, pid);
}

/* A target has forked; the child has not run yet. A new thread is no new process. */
static __always_inline void on_forked(const struct task_struct* parent,
                                      const struct task_struct* child) {
  __u32 tgid = (__u32)child->tgid;
  __u32 user_tgid;
  if (tgid == (__u32)parent->tgid) return;
  user_tgid = user_pid(child);
  if (bpf_map_update_elem(&targets, &tgid, &user_tgid, BPF_ANY))
    __sync_fetch_and_add(&targets_dropped, 1);
}

/* A thread of a target ends; the process with the last one. */
static __always_inline void on_thread_ends(const struct task_struct* task) {
  __u32 tgid = (__u32)task->tgid;
  if (BPF_CORE_READ(task, signal, live.counter) > 0) return;
  bpf_map_delete_elem(&targets, &tgid);
}

#endif
