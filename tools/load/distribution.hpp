#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace epulse::load {

// The layout of HdrHistogram with three significant decimal digits, so that files in its formats
// are exact copies of ours (hdr_format.hpp). Values below 2,048 have a slot each; above, every
// power of two is cut into 1,024 slots of equal width: no value is further than 0.1 % from any
// other in its slot. Values of 2^42 ns = 73 min and more go to the last slot.
constexpr int kSignificantDigits = 3;
constexpr unsigned kExactBits = 11;
constexpr unsigned kSubBits = kExactBits - 1;
constexpr unsigned kMaxBits = 42;
constexpr std::size_t kSlots =
    (std::size_t{1} << kExactBits) + (std::size_t{kMaxBits - kExactBits} << kSubBits);

constexpr std::size_t slot_of(std::uint64_t ns) {
  if (ns >> kMaxBits != 0) return kSlots - 1;
  const auto bits = static_cast<unsigned>(std::bit_width(ns));
  const unsigned octave = bits > kExactBits ? bits - kExactBits : 0;
  return (std::size_t{octave} << kSubBits) + (ns >> octave);
}

// The smallest and the largest value of a slot.
constexpr std::uint64_t slot_first_ns(std::size_t slot) {
  const std::size_t octave = slot >> kExactBits == 0 ? 0 : (slot >> kSubBits) - 1;
  return std::uint64_t{slot - (octave << kSubBits)} << octave;
}
constexpr std::uint64_t slot_last_ns(std::size_t slot) {
  return slot_first_ns(slot + 1) - 1;
}
// What its values are taken for in a mean, as HdrHistogram does.
constexpr double slot_middle_ns(std::size_t slot) {
  const std::uint64_t width = slot_first_ns(slot + 1) - slot_first_ns(slot);
  const std::uint64_t middle = slot_first_ns(slot) + width / 2;
  return static_cast<double>(middle);
}

// How often each duration was seen.
struct Distribution {
  std::vector<std::uint64_t> counts = std::vector<std::uint64_t>(kSlots);
  std::uint64_t max_ns = 0;

  std::uint64_t total() const;
  // The value that a share `q` of all does not exceed, rounded up within its slot as HdrHistogram
  // does, but never above the maximum; 0 when there are none.
  std::uint64_t quantile_ns(double q) const;
  double mean_ns() const;
  // What came in after `earlier`, a former state of this one; the maximum is given, since it cannot
  // be told from the two.
  Distribution since(const Distribution& earlier, std::uint64_t interval_max_ns) const;
};

// A distribution that one thread fills while another looks at it.
class LiveDistribution {
 public:
  void record(std::uint64_t ns, std::uint64_t times = 1);
  // Adds all that was recorded so far.
  void add_to(Distribution& sum) const;
  Distribution snapshot() const;
  // The largest since the last call.
  std::uint64_t take_interval_max() { return interval_max_ns_.exchange(0); }

 private:
  std::array<std::atomic<std::uint64_t>, kSlots> counts_{};
  std::atomic<std::uint64_t> max_ns_{0};
  std::atomic<std::uint64_t> interval_max_ns_{0};
};

}  // namespace epulse::load
