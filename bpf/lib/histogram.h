/* Log-linear histograms, shared by BPF (which fills them) and user space (which reads them).
 *
 * Values below 2^exact_bits have a slot each. Above, every power of two is cut into 16 slots of
 * equal width, so a slot is at most 1/16 of its lower bound wide and its midpoint is within 3.13 %
 * of any value in it. Values of 2^max_bits and more go to the last slot; `max` keeps them exactly.
 */
#ifndef EPULSE_BPF_LIB_HISTOGRAM_H
#define EPULSE_BPF_LIB_HISTOGRAM_H

#include <linux/types.h>

#ifdef __cplusplus
#define EPULSE_U32(value) static_cast<__u32>(value)
#else
#define EPULSE_U32(value) ((__u32)(value))
#endif

#define EPULSE_HIST_SUB_BITS 4
#define EPULSE_HIST_SLOTS(exact_bits, max_bits) \
  ((1 << (exact_bits)) + (((max_bits) - (exact_bits)) << EPULSE_HIST_SUB_BITS))

/* Durations in ns: exact below 32 ns, up to 2^36 ns = 68 s. */
#define EPULSE_NS_EXACT_BITS 5
#define EPULSE_NS_MAX_BITS 36
#define EPULSE_NS_SLOTS EPULSE_HIST_SLOTS(EPULSE_NS_EXACT_BITS, EPULSE_NS_MAX_BITS)

/* Numbers of items: exact below 1,024, up to 2^20. */
#define EPULSE_ITEMS_EXACT_BITS 10
#define EPULSE_ITEMS_MAX_BITS 20
#define EPULSE_ITEMS_SLOTS EPULSE_HIST_SLOTS(EPULSE_ITEMS_EXACT_BITS, EPULSE_ITEMS_MAX_BITS)

struct ns_histogram {
  __u64 count;
  __u64 sum;
  __u64 max;
  __u64 slots[EPULSE_NS_SLOTS];
};

struct items_histogram {
  __u64 count;
  __u64 sum;
  __u64 max;
  __u64 slots[EPULSE_ITEMS_SLOTS];
};

#ifdef __cplusplus
static_assert(sizeof(ns_histogram) == 8UL * (3 + EPULSE_NS_SLOTS));
static_assert(sizeof(items_histogram) == 8UL * (3 + EPULSE_ITEMS_SLOTS));
#endif

/* floor(log2(value)); value > 0. Branches, because BPF has no count-leading-zeros instruction. */
static inline __u32 epulse_log2(__u64 value) {
  __u32 result = 0;
  if (value >> 32) {
    value >>= 32;
    result += 32;
  }
  if (value >> 16) {
    value >>= 16;
    result += 16;
  }
  if (value >> 8) {
    value >>= 8;
    result += 8;
  }
  if (value >> 4) {
    value >>= 4;
    result += 4;
  }
  if (value >> 2) {
    value >>= 2;
    result += 2;
  }
  return result + EPULSE_U32(value >> 1);
}

static inline __u32 epulse_hist_slot(__u64 value, __u32 exact_bits, __u32 max_bits) {
  __u32 octave;
  if (value < (1ULL << exact_bits)) return EPULSE_U32(value);
  if (value >= (1ULL << max_bits)) return EPULSE_HIST_SLOTS(exact_bits, max_bits) - 1;
  octave = epulse_log2(value);
  return (1U << exact_bits) + ((octave - exact_bits) << EPULSE_HIST_SUB_BITS) +
         (EPULSE_U32(value >> (octave - EPULSE_HIST_SUB_BITS)) &
          ((1U << EPULSE_HIST_SUB_BITS) - 1));
}

#endif
