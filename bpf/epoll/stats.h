/* Filling the histograms of one worker. Its own thread alone does, so plain adds are exact. */
#ifndef EPULSE_BPF_EPOLL_STATS_H
#define EPULSE_BPF_EPOLL_STATS_H

#include "epoll.h"
#include "lib/bpf.h"

static __always_inline void record_ns(struct ns_histogram* histogram, __u64 value) {
  __u64 slot = epulse_hist_slot(value, EPULSE_NS_EXACT_BITS, EPULSE_NS_MAX_BITS);
  barrier_var(slot); /* compared as 64 bits: Linux 5.10 learns nothing from its lower half */
  if (slot < EPULSE_NS_SLOTS) histogram->slots[slot]++;
  histogram->count++;
  histogram->sum += value;
  if (value > histogram->max) histogram->max = value;
}

static __always_inline void record_items(struct items_histogram* histogram, __u64 value) {
  __u64 slot = epulse_hist_slot(value, EPULSE_ITEMS_EXACT_BITS, EPULSE_ITEMS_MAX_BITS);
  barrier_var(slot);
  if (slot < EPULSE_ITEMS_SLOTS) histogram->slots[slot]++;
  histogram->count++;
  histogram->sum += value;
  if (value > histogram->max) histogram->max = value;
}

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
