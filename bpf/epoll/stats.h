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

#endif
