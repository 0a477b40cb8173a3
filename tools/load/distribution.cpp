#include "tools/load/distribution.hpp"

#include <algorithm>
#include <cmath>

#include "tools/load/one_writer.hpp"

namespace epulse::load {
std::uint64_t Distribution::total() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : counts) sum += count;
  return sum;
}

std::uint64_t Distribution::quantile_ns(double q) const {
  const std::uint64_t all = total();
  if (all == 0) return 0;
  const auto rank = std::max(
      std::uint64_t{1},
      static_cast<std::uint64_t>(std::ceil(std::nextafter(q * static_cast<double>(all), 0))));
  std::uint64_t seen = 0;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    seen += counts[slot];
    if (seen >= rank) return std::min(slot_last_ns(slot), max_ns);
  }
  return max_ns;
}

double Distribution::mean_ns() const {
  double sum = 0;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    sum += static_cast<double>(counts[slot]) * slot_middle_ns(slot);
  }
  const std::uint64_t all = total();
  return all == 0 ? 0 : sum / static_cast<double>(all);
}

Distribution Distribution::since(const Distribution& earlier, std::uint64_t interval_max_ns) const {
  Distribution result;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    result.counts[slot] = counts[slot] - earlier.counts[slot];
  }
  result.max_ns = interval_max_ns;
  return result;
}

void LiveDistribution::record(std::uint64_t ns, std::uint64_t times) {
  load::add_to(counts_[slot_of(ns)], times);
  if (ns > max_ns_.load(std::memory_order_relaxed)) {
    max_ns_.store(ns, std::memory_order_relaxed);
  }
  // The other side resets this one, so it takes an exchange that notices.
  std::uint64_t seen = interval_max_ns_.load(std::memory_order_relaxed);
  while (ns > seen && !interval_max_ns_.compare_exchange_weak(seen, ns)) {
  }
}

void LiveDistribution::add_to(Distribution& sum) const {
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    sum.counts[slot] += counts_[slot].load(std::memory_order_relaxed);
  }
  sum.max_ns = std::max(sum.max_ns, max_ns_.load(std::memory_order_relaxed));
}

Distribution LiveDistribution::snapshot() const {
  Distribution result;
  add_to(result);
  return result;
}

}  // namespace epulse::load
