/* Filling the histograms of histogram.h from BPF: by their only writer, or by one of several. */
#ifndef EPULSE_BPF_LIB_RECORD_H
#define EPULSE_BPF_LIB_RECORD_H

#include "lib/bpf.h"

#include "lib/histogram.h"

/* The verifier's bounds are of the 64-bit register, and old ones do not get them from a comparison
 * of its lower half, which is what clang makes of a __u32. */
static __always_inline bool is_slot(__u64* slot, __u64 slots) {
  barrier_var(*slot);
  return *slot < slots;
}

static __always_inline void record_ns(struct ns_histogram* histogram, __u64 value) {
  __u64 slot = epulse_hist_slot(value, EPULSE_NS_EXACT_BITS, EPULSE_NS_MAX_BITS);
  if (is_slot(&slot, EPULSE_NS_SLOTS)) histogram->slots[slot]++;
  histogram->count++;
  histogram->sum += value;
  if (value > histogram->max) histogram->max = value;
}

static __always_inline void record_items(struct items_histogram* histogram, __u64 value) {
  __u64 slot = epulse_hist_slot(value, EPULSE_ITEMS_EXACT_BITS, EPULSE_ITEMS_MAX_BITS);
  if (is_slot(&slot, EPULSE_ITEMS_SLOTS)) histogram->slots[slot]++;
  histogram->count++;
  histogram->sum += value;
  if (value > histogram->max) histogram->max = value;
}

/* With several writers, only the maximum may miss one of two values that come at once: BPF has no
 * compare-and-exchange before 5.12. */
static __always_inline void record_ns_shared(struct ns_histogram* histogram, __u64 value) {
  __u64 slot = epulse_hist_slot(value, EPULSE_NS_EXACT_BITS, EPULSE_NS_MAX_BITS);
  if (is_slot(&slot, EPULSE_NS_SLOTS)) __sync_fetch_and_add(&histogram->slots[slot], 1);
  __sync_fetch_and_add(&histogram->count, 1);
  __sync_fetch_and_add(&histogram->sum, value);
  if (value > histogram->max) histogram->max = value;
}

static __always_inline void record_items_shared(struct items_histogram* histogram, __u64 value) {
  __u64 slot = epulse_hist_slot(value, EPULSE_ITEMS_EXACT_BITS, EPULSE_ITEMS_MAX_BITS);
  if (is_slot(&slot, EPULSE_ITEMS_SLOTS)) __sync_fetch_and_add(&histogram->slots[slot], 1);
  __sync_fetch_and_add(&histogram->count, 1);
  __sync_fetch_and_add(&histogram->sum, value);
  if (value > histogram->max) histogram->max = value;
}

#endif
