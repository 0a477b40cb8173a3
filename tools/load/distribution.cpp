#include "tools/load/distribution.hpp"

#include <algorithm>
#include <cmath>

namespace epulse::load {
namespace {

// One writer: no need for an atomic addition.
void add_one(std::atomic<std::uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

std::uint64_t slot_midpoint_ns(std::size_t slot) {
  constexpr std::size_t kExact = std::size_t{1} << EPULSE_NS_EXACT_BITS;
  if (slot < kExact) return slot;
  const std::size_t octave = EPULSE_NS_EXACT_BITS + ((slot - kExact) >> EPULSE_HIST_SUB_BITS);
  const std::uint64_t width = std::uint64_t{1} << (octave - EPULSE_HIST_SUB_BITS);
  const std::uint64_t part = (slot - kExact) & ((1U << EPULSE_HIST_SUB_BITS) - 1);
  return (std::uint64_t{1} << octave) + part * width + width / 2;
}

std::uint64_t Distribution::total() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : counts) sum += count;
  return sum;
}

std::uint64_t Distribution::quantile_ns(double q) const {
  const std::uint64_t all = total();
  if (all == 0) return 0;
  const auto rank = std::max(std::uint64_t{1},
                             static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(all))));
  std::uint64_t seen = 0;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    seen += counts[slot];
    if (seen >= rank) return std::min(slot_midpoint_ns(slot), max_ns);
  }
  return max_ns;
}

void Distribution::add(const Distribution& other) {
  for (std::size_t slot = 0; slot < kSlots; ++slot) counts[slot] += other.counts[slot];
  max_ns = std::max(max_ns, other.max_ns);
}

Distribution Distribution::since(const Distribution& earlier, std::uint64_t interval_max_ns) const {
  Distribution result;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    result.counts[slot] = counts[slot] - earlier.counts[slot];
  }
  result.max_ns = interval_max_ns;
  return result;
}

void LiveDistribution::record(std::uint64_t ns) {
  add_one(counts_[epulse_hist_slot(ns, EPULSE_NS_EXACT_BITS, EPULSE_NS_MAX_BITS)]);
  if (ns > max_ns_.load(std::memory_order_relaxed)) {
    max_ns_.store(ns, std::memory_order_relaxed);
  }
  // The other side resets this one, so it takes an exchange that notices.
  std::uint64_t seen = interval_max_ns_.load(std::memory_order_relaxed);
  while (ns > seen && !interval_max_ns_.compare_exchange_weak(seen, ns)) {
  }
}

Distribution LiveDistribution::snapshot() const {
  Distribution result;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    result.counts[slot] = counts_[slot].load(std::memory_order_relaxed);
  }
  result.max_ns = max_ns_.load(std::memory_order_relaxed);
  return result;
}

}  // namespace epulse::load
