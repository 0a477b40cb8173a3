/* Who is to blame for a run-queue delay: which threads had the CPU while a woken one waited for it.
 */
#ifndef EPULSE_BPF_EPOLL_BLAME_H
#define EPULSE_BPF_EPOLL_BLAME_H

#include "epoll/state.h"

#define SWITCHES_KEPT 16 /* by CPU; a power of two */

/* One who has just left the CPU. */
struct switched_out {
  __u64 until_ns;
  __u32 pid;
  char comm[16];
};

struct switch_log {
  __u32 next;
  struct switched_out entries[SWITCHES_KEPT];
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct switch_log);
} switches SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1024);
  __type(key, struct epoll_blame_key);
  __type(value, struct epoll_blame);
} blames SEC(".maps");

/* Threads of the target that are woken and not running yet. Context switches of others are noted
 * only while there is one. A thread that was woken before it slept counts until it next gets a CPU.
 * User space zeroes this when a detail round begins. */
__u32 waiting_for_cpu = 0;

static __always_inline void starts_waiting_for_cpu(struct thread* thread) {
  if (thread->waits_for_cpu == detail_round) return;
  thread->waits_for_cpu = detail_round;
  __sync_fetch_and_add(&waiting_for_cpu, 1);
}

static __always_inline void stops_waiting_for_cpu(struct thread* thread) {
  if (!thread->waits_for_cpu || thread->waits_for_cpu != detail_round) return;
  thread->waits_for_cpu = 0;
  __sync_fetch_and_add(&waiting_for_cpu, -1);
}

/* `task` leaves this CPU. */
static __always_inline void note_switch(struct task_struct* task, __u64 now) {
  __u32 zero = 0;
  struct switch_log* log = bpf_map_lookup_elem(&switches, &zero);
  struct switched_out* entry;
  if (!log) return;
  entry = &log->entries[log->next++ & (SWITCHES_KEPT - 1)];
  entry->until_ns = now;
  entry->pid = (__u32)task->pid;
  __builtin_memcpy(entry->comm, task->comm, sizeof(entry->comm));
}

static __always_inline void charge(__u32 victim, const struct switched_out* culprit, __u64 ns) {
  struct epoll_blame_key key = {.victim = victim, .culprit = culprit->pid};
  struct epoll_blame first = {.ns = ns, .times = 1};
  struct epoll_blame* known = bpf_map_lookup_elem(&blames, &key);
  if (known) {
    __sync_fetch_and_add(&known->ns, ns);
    __sync_fetch_and_add(&known->times, 1);
    return;
  }
  __builtin_memcpy(first.comm, culprit->comm, sizeof(first.comm));
  bpf_map_update_elem(&blames, &key, &first, BPF_ANY);
}

/* The thread was woken at `woken` and gets this CPU `now`: whoever left the CPU in between had it
 * up to then. */
static __always_inline void blame_for_delay(const struct thread* thread, __u64 woken, __u64 now) {
  __u32 zero = 0;
  struct switch_log* log;
  if (!blame_from_ns || now - woken < blame_from_ns) return;
  log = bpf_map_lookup_elem(&switches, &zero);
  if (!log) return;
  for (__u32 back = 1; back < SWITCHES_KEPT; back++) {
    const struct switched_out* entry = &log->entries[(log->next - back) & (SWITCHES_KEPT - 1)];
    __u64 before = log->entries[(log->next - back - 1) & (SWITCHES_KEPT - 1)].until_ns;
    __u64 from = before > woken ? before : woken;
    if (entry->until_ns <= woken) return;
    if (entry->until_ns > from) charge(thread->tid, entry, entry->until_ns - from);
    if (before <= woken) return;
  }
}

#endif
