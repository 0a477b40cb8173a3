#pragma once

#include <cstdint>
#include <vector>

#include "bpf/lib/histogram.h"

namespace epulse::model {

// How values map to slots; the two that the probes fill. See bpf/lib/histogram.h.
struct HistogramShape {
  uint32_t exact_bits;
  uint32_t max_bits;

  uint32_t slots() const {
    return (1U << exact_bits) + ((max_bits - exact_bits) << EPULSE_HIST_SUB_BITS);
  }
  // The values of slot `slot` are [low(slot), low(slot + 1)).
  uint64_t low(uint32_t slot) const;
  bool operator==(const HistogramShape&) const = default;
};

inline constexpr HistogramShape kNsShape{EPULSE_NS_EXACT_BITS, EPULSE_NS_MAX_BITS};
inline constexpr HistogramShape kItemsShape{EPULSE_ITEMS_EXACT_BITS, EPULSE_ITEMS_MAX_BITS};

// A log-linear histogram. Count, sum and max are exact; a quantile is within 3.13 % of a value at
// that rank, and exact where slots are one wide (below 32 ns, below 1,024 items).
class Histogram {
 public:
  explicit Histogram(HistogramShape shape) : shape_(shape) {}
  // `slots` has shape.slots() elements.
  Histogram(HistogramShape shape, uint64_t count, uint64_t sum, uint64_t max, const __u64* slots);
  // Read while the kernel may be writing: what the slots hold is the count, since a reader may come
  // between the two writes.
  static Histogram live(HistogramShape shape, uint64_t sum, uint64_t max, const __u64* slots);

  void record(uint64_t value, uint64_t times = 1);
  void merge(const Histogram& other);
  // What `*this` has recorded since it was `earlier`. The maximum is exact when it rose since then,
  // else the upper bound of the highest slot in use.
  Histogram since(const Histogram& earlier) const;

  HistogramShape shape() const { return shape_; }
  uint64_t count() const { return count_; }
  uint64_t sum() const { return sum_; }
  uint64_t max() const { return max_; }
  double mean() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }
  // The value at rank ceil(q * count), 0 <= q <= 1; 0 when empty.
  uint64_t quantile(double q) const;
  // shape().slots() of them; none when all are zero.
  const std::vector<uint64_t>& slots() const { return slots_; }
  bool operator==(const Histogram&) const = default;

 private:
  void drop_zeros();

  HistogramShape shape_;
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t max_ = 0;
  std::vector<uint64_t> slots_;  // most histograms of most workers stay empty: no memory for them
};

}  // namespace epulse::model
