/* Differences between kernels, one small getter each, headed by what made them. */
#ifndef EPULSE_BPF_LIB_KERNEL_FIXES_H
#define EPULSE_BPF_LIB_KERNEL_FIXES_H

#include "lib/bpf.h"
#include "lib/kernel_read.h"

#define TASK_INTERRUPTIBLE 1

/* 2f064a59a11f ("sched: Change task_struct::state", 5.14): `state` became `__state`. */
struct task_struct___o {
  volatile long state;
} __attribute__((preserve_access_index));

static __always_inline bool task_sleeps_interruptibly(const struct task_struct* task) {
  if (bpf_core_field_exists(task->__state))
    return BPF_CORE_READ(task, __state) & TASK_INTERRUPTIBLE;
  return BPF_CORE_READ((const struct task_struct___o*)task, state) & TASK_INTERRUPTIBLE;
}

/* An item that becomes ready during a scan goes to the overflow list: `next` up to 6.18's renaming
 * to `ovflist_next`. Off the list it is EP_UNACTIVE_PTR, (void *)-1. */
struct epitem___next {
  struct epitem* next;
} __attribute__((preserve_access_index));

struct epitem___ovflist_next {
  struct epitem* ovflist_next;
} __attribute__((preserve_access_index));

#define EP_UNACTIVE_PTR ((void*)-1L)

static __always_inline struct epitem* epitem_overflow_next(const struct epitem* item) {
  if (bpf_core_field_exists(struct epitem___next, next))
    return KERNEL_READ(struct epitem___next, item, next);
  return KERNEL_READ(struct epitem___ovflist_next, item, ovflist_next);
}

/* "eventpoll: Fix epoll_wait() report false negative" has a sequence count move with the start and
 * the end of every scan: 7.3, and stable kernels (6.12.117), but not 7.0. */
struct seqcount___scan {
  unsigned int sequence;
} __attribute__((preserve_access_index));

struct seqcount_spinlock___scan {
  struct seqcount___scan seqcount;
} __attribute__((preserve_access_index));

struct eventpoll___scan {
  struct seqcount_spinlock___scan seq;
} __attribute__((preserve_access_index));

static __always_inline bool eventpoll_numbers_scans(void) {
  return bpf_core_field_exists(struct eventpoll___scan, seq);
}

/* 0 where they are not numbered. */
static __always_inline __u32 eventpoll_scan_number(const struct eventpoll* ep) {
  if (!eventpoll_numbers_scans()) return 0;
  return KERNEL_READ(struct eventpoll___scan, ep, seq.seqcount.sequence);
}

/* "net: add sk->sk_drop_counters" (6.18): sockets that many CPUs feed (UDP, raw) count their drops
 * in two counters of their own, one for each half of the NUMA nodes. */
struct numa_drop_counters {
  atomic_t drops0;
  atomic_t drops1;
} __attribute__((preserve_access_index));

struct sock___drop_counters {
  struct numa_drop_counters* sk_drop_counters;
} __attribute__((preserve_access_index));

static __always_inline __u32 sock_drops(const struct sock* sk) {
  const struct numa_drop_counters* counters = 0;
  if (bpf_core_field_exists(struct sock___drop_counters, sk_drop_counters))
    counters = KERNEL_READ(struct sock___drop_counters, sk, sk_drop_counters);
  if (!counters) return (__u32)KERNEL_READ(struct sock, sk, sk_drops.counter);
  return (__u32)BPF_CORE_READ(counters, drops0.counter) +
         (__u32)BPF_CORE_READ(counters, drops1.counter);
}

#endif
