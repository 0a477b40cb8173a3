#pragma once

#include <cstdint>
#include <vector>

#include "tools/load/result.hpp"
#include "tools/load/thread_use.hpp"

namespace epulse::load {

// How far a load was when a stretch of it began or ended.
struct Mark {
  std::uint64_t ns = 0;        // when, but not after the load's end
  std::uint64_t taken_ns = 0;  // when these were read
  std::uint64_t received = 0;
  std::vector<SchedulerTimes> threads;  // empty: not known
};

// What was between: all but what the totals alone tell.
Result between(const Mark& begin, const Mark& end, Totals totals);

}  // namespace epulse::load
