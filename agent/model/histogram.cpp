#include "agent/model/histogram.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace epulse::model {

uint64_t HistogramShape::low(uint32_t slot) const {
  const uint32_t exact = 1U << exact_bits;
  if (slot < exact) return slot;
  const uint32_t octave = exact_bits + ((slot - exact) >> EPULSE_HIST_SUB_BITS);
  const uint64_t sub = (slot - exact) & ((1U << EPULSE_HIST_SUB_BITS) - 1);
  return (1ULL << octave) + (sub << (octave - EPULSE_HIST_SUB_BITS));
}

Histogram::Histogram(HistogramShape shape, uint64_t count, uint64_t sum, uint64_t max,
                     const __u64* slots)
    : shape_(shape), count_(count), sum_(sum), max_(max), slots_(slots, slots + shape.slots()) {
  drop_zeros();
}

void Histogram::drop_zeros() {
  const auto is_zero = [](uint64_t n) { return n == 0; };
  if (std::all_of(slots_.begin(), slots_.end(), is_zero)) slots_ = {};
}

Histogram Histogram::live(HistogramShape shape, uint64_t sum, uint64_t max, const __u64* slots) {
  Histogram copy(shape, 0, sum, max, slots);
  copy.count_ = std::accumulate(copy.slots_.begin(), copy.slots_.end(), uint64_t{0});
  return copy;
}

void Histogram::record(uint64_t value, uint64_t times) {
  if (times == 0) return;
  slots_.resize(shape_.slots());
  slots_[epulse_hist_slot(value, shape_.exact_bits, shape_.max_bits)] += times;
  count_ += times;
  sum_ += value * times;
  max_ = std::max(max_, value);
}

void Histogram::merge(const Histogram& other) {
  if (!other.slots_.empty()) slots_.resize(shape_.slots());
  for (size_t i = 0; i < other.slots_.size(); ++i) slots_[i] += other.slots_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

Histogram Histogram::since(const Histogram& earlier) const {
  Histogram change(shape_);
  change.slots_ = slots_;
  uint32_t highest = 0;
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    if (!earlier.slots_.empty()) change.slots_[i] -= earlier.slots_[i];
    if (change.slots_[i] != 0) highest = i;
    change.count_ += change.slots_[i];
  }
  change.drop_zeros();
  change.sum_ = sum_ - earlier.sum_;
  if (change.count_ != 0) {
    change.max_ = max_ > earlier.max_ ? max_ : std::min(max_, shape_.low(highest + 1) - 1);
  }
  return change;
}

uint64_t Histogram::quantile(double q) const {
  uint64_t total = 0;
  for (const uint64_t n : slots_) total += n;
  if (total == 0) return 0;
  const auto rank = std::clamp<uint64_t>(
      static_cast<uint64_t>(std::ceil(q * static_cast<double>(total))), 1, total);
  uint64_t seen = 0;
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    seen += slots_[i];
    if (seen < rank) continue;
    const uint64_t low = shape_.low(i);
    const uint64_t width = shape_.low(i + 1) - low;
    // The last slot has no upper bound.
    if (i + 1 == slots_.size()) return max_;
    return std::min(low + (width - 1) / 2, max_);
  }
  return max_;
}

}  // namespace epulse::model
