/* Filling the histograms of one worker. Its own thread alone does, so plain adds are exact. */
#ifndef EPULSE_BPF_EPOLL_STATS_H
#define EPULSE_BPF_EPOLL_STATS_H

#include "epoll.h"
#include "lib/record.h"

/* The time between two instants into a stage's histogram. Returns it, 0 when either is unknown. */
static __always_inline __u64 record_stage(struct epoll_worker_stats* stats,
                                          struct ns_histogram* histogram, __u64 from, __u64 to) {
  if (!from || !to) return 0;
  if (to < from) {
    stats->counters[EPOLL_COUNTER_INVALID]++;
    return 0;
  }
  record_ns(histogram, to - from);
  return to - from;
}

/* A loop that looks more often than this without sleeping waits by looking. */
#define HANDLER_LOOKS_MAX 8

/* The thread sleeps, or has something else to handle: the handler of its last delivery is over, and
 * counted once. */
static __always_inline void handler_ends(struct thread* thread, struct epoll_worker_stats* stats) {
  if (!thread->looks_left) return;
  thread->looks_left = 0;
  if (thread->handler_ns) record_ns(&stats->stages[EPOLL_STAGE_HANDLER], thread->handler_ns);
}

#endif
