/* A thread of the target enters the kernel and returns: what io_uring_enter is asked for, and
 * reaps.
 *
 * Since Linux 7.2 a program of the two tracepoints may be preempted, and until it goes on, the
 * kernel runs it for nobody's system calls on that CPU. So there each is attached twice, as two
 * programs: a call is missed only where both are held up at once. Whichever comes second finds
 * nothing left to do. */
#ifndef EPULSE_BPF_URING_SYSCALLS_H
#define EPULSE_BPF_URING_SYSCALLS_H

#include "lib/record.h"
#include "uring/reaps.h"
#include "uring/users.h"

/* The ring that the current thread enters, and the thread as its user. */
static __always_inline struct uring_ring* enter_ring(struct pt_regs* regs, __u32 tid,
                                                     struct thread** user) {
  struct io_ring_ctx* entered = ring_of_enter((__u32)PT_REGS_PARM1_CORE_SYSCALL(regs),
                                              (__u32)PT_REGS_PARM4_CORE_SYSCALL(regs));
  struct uring_ring* ring = entered ? know_ring((__u64)entered, false) : 0;
  struct thread* thread;
  if (!ring) return 0;
  prime(ring);
  thread = current_user(ring, tid);
  if (!thread) return 0;
  thread->in_enter = 1;
  ring->home = thread->slot;
  *user = thread;
  return ring;
}

static __always_inline int syscall_entered(struct pt_regs* regs, long nr) {
  struct uring_user_stats* stats;
  const struct io_rings* shared;
  struct uring_ring* ring;
  struct thread* thread;
  __u32 head, tid;
  __u64 id;
  if (!rings_known) return 0;
  id = bpf_get_current_pid_tgid();
  if (!is_target((__u32)(id >> 32))) return 0;
  tid = (__u32)id;
  if (nr == NR_io_uring_enter) {
    if (syscalls_twice) {
      thread = bpf_map_lookup_elem(&threads, &tid);
      if (thread && thread->in_enter) return 0;
    }
    ring = enter_ring(regs, tid, &thread);
    if (!ring) return 0;
  } else {
    thread = bpf_map_lookup_elem(&threads, &tid);
    if (!thread) return 0;
    ring = bpf_map_lookup_elem(&rings, &thread->ring);
    if (!ring || ring->ring_id != thread->ring_id) return 0;
  }
  stats = stats_of(ring, thread->slot);
  if (!stats) return 0;
  if (nr == NR_io_uring_enter) {
    stats->counters[URING_COUNTER_ENTERS]++;
    if (stats->fd < 0) stats->fd = ring->fd; /* listed since */
  }
  shared = shared_rings(ring->ring_id);
  head = BPF_CORE_READ(shared, cq.head);
  if (head != ring->reaped)
    look_at_cq(ring, stats, head, BPF_CORE_READ(shared, cq.tail), bpf_ktime_get_ns());
  return 0;
}

static __always_inline int syscall_returns(void) {
  struct uring_user_stats* stats;
  const struct io_rings* shared;
  struct uring_ring* ring;
  struct thread* thread;
  __u64 id, posted, tag, now;
  __u32 tid, head, listed;
  if (!rings_known) return 0;
  id = bpf_get_current_pid_tgid();
  if (!is_target((__u32)(id >> 32))) return 0;
  tid = (__u32)id;
  thread = bpf_map_lookup_elem(&threads, &tid);
  if (!thread || !thread->in_enter) return 0;
  thread->in_enter = 0;
  ring = bpf_map_lookup_elem(&rings, &thread->ring);
  if (!ring || ring->ring_id != thread->ring_id) return 0;
  stats = stats_of(ring, thread->slot);
  if (!stats) return 0;
  shared = shared_rings(ring->ring_id);
  head = BPF_CORE_READ(shared, cq.head);
  listed = BPF_CORE_READ(shared, cq.tail) - head;
  if (!listed) return 0;
  if (listed > ring->cq_entries) {
    count(stats, URING_COUNTER_INVALID);
    return 0;
  }
  record_items(&stats->items[URING_ITEMS_CQ_RETURNED], listed);
  /* What an earlier return could have been answered with is late by the application's doing. */
  tag = stamp_tag(ring, head);
  if (ring->returned_tag == tag) return 0;
  ring->returned_tag = tag;
  posted = posted_ns(ring, head);
  now = bpf_ktime_get_ns();
  if (posted && posted <= now)
    record_ns(&stats->stages[URING_STAGE_COMPLETE_TO_RETURN], now - posted);
  return 0;
}

#endif
