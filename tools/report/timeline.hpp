#pragma once

#include <cstdint>
#include <vector>

#include "agent/model/epoll_stats.hpp"

namespace epulse::report {

// What all workers together did in a stretch of the recording.
struct TimelineColumn {
  uint64_t from_ns = 0;  // CLOCK_MONOTONIC
  uint64_t to_ns = 0;
  uint64_t measured_ns = 0;  // the intervals in it: less than the stretch when some are missing
  uint64_t detailed_ns = 0;  // of these, with queue depth and stages
  model::WorkerStats all;    // its key says nothing
  double seconds() const { return static_cast<double>(measured_ns) / 1e9; }
  void merge(const TimelineColumn& later);
};

// A recording by time, in so many columns as a picture has room for, however long it is: when they
// are full, neighbours are put together.
class Timeline {
 public:
  static constexpr size_t kColumnsMax = 240;

  void add(const model::EpollSnapshot& interval);
  const std::vector<TimelineColumn>& columns() const { return columns_; }
  // The same in at most so many.
  std::vector<TimelineColumn> in_columns(size_t most) const;

 private:
  std::vector<TimelineColumn> columns_;
  size_t intervals_each_ = 1;  // in a column
  size_t in_last_ = 0;         // intervals in the last one
};

}  // namespace epulse::report
