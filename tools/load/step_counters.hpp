#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "tools/load/counters.hpp"

namespace epulse::load {

// What one thread counts, by step of the rate. A message, whenever its answer comes, belongs to the
// step that it was due in; what is of no message, to the one under way.
class StepCounters {
 public:
  // One for each step.
  StepCounters(std::span<Counters> steps, std::uint64_t step_ns)
      : steps_(steps), step_ns_(step_ns) {}

  void start(std::uint64_t start_ns) { start_ns_ = start_ns; }

  Counters& at(std::uint64_t ns) const {
    if (steps_.size() == 1 || ns < start_ns_) return steps_.front();
    return steps_[std::min<std::uint64_t>((ns - start_ns_) / step_ns_, steps_.size() - 1)];
  }
  // It has what is of no step, too: the connections.
  Counters& first() const { return steps_.front(); }

 private:
  std::span<Counters> steps_;
  std::uint64_t step_ns_;
  std::uint64_t start_ns_ = std::numeric_limits<std::uint64_t>::max();  // not yet
};

}  // namespace epulse::load
