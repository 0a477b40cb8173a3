#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

extern "C" {
#include "bpf/lib/histogram.h"
}

namespace epulse::load {

constexpr std::size_t kSlots = EPULSE_NS_SLOTS;

// The value in the middle of a slot of bpf/lib/histogram.h.
std::uint64_t slot_midpoint_ns(std::size_t slot);

// How often each duration was seen.
struct Distribution {
  std::array<std::uint64_t, kSlots> counts{};
  std::uint64_t max_ns = 0;

  std::uint64_t total() const;
  // The value that a share `q` of all does not exceed; 0 when there are none.
  std::uint64_t quantile_ns(double q) const;
  void add(const Distribution& other);
  // What came in after `earlier`, a former state of this one; the maximum is given, since it cannot
  // be told from the two.
  Distribution since(const Distribution& earlier, std::uint64_t interval_max_ns) const;
};

// A distribution that one thread fills while another looks at it.
class LiveDistribution {
 public:
  void record(std::uint64_t ns);
  Distribution snapshot() const;
  // The largest since the last call.
  std::uint64_t take_interval_max() { return interval_max_ns_.exchange(0); }

 private:
  std::array<std::atomic<std::uint64_t>, kSlots> counts_{};
  std::atomic<std::uint64_t> max_ns_{0};
  std::atomic<std::uint64_t> interval_max_ns_{0};
};

}  // namespace epulse::load
