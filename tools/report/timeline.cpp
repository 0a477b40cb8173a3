#include "tools/report/timeline.hpp"

#include <algorithm>

namespace epulse::report {
namespace {

TimelineColumn column_of(const model::EpollSnapshot& interval) {
  TimelineColumn column;
  column.from_ns = interval.time_ns - std::min(interval.time_ns, interval.duration_ns);
  column.to_ns = interval.time_ns;
  column.measured_ns = interval.duration_ns;
  column.detailed_ns = interval.detailed_ns;
  for (const model::WorkerStats& worker : interval.workers) column.all.merge(worker);
  return column;
}

// Neighbours together, `each` to a column.
std::vector<TimelineColumn> together(const std::vector<TimelineColumn>& columns, size_t each) {
  std::vector<TimelineColumn> fewer;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i % each == 0) {
      fewer.push_back(columns[i]);
    } else {
      fewer.back().merge(columns[i]);
    }
  }
  return fewer;
}

}  // namespace

void TimelineColumn::merge(const TimelineColumn& later) {
  from_ns = std::min(from_ns, later.from_ns);
  to_ns = std::max(to_ns, later.to_ns);
  measured_ns += later.measured_ns;
  detailed_ns += later.detailed_ns;
  all.merge(later.all);
}

void Timeline::add(const model::EpollSnapshot& interval) {
  if (!columns_.empty() && in_last_ < intervals_each_) {
    columns_.back().merge(column_of(interval));
    ++in_last_;
    return;
  }
  if (columns_.size() == kColumnsMax) {
    columns_ = together(columns_, 2);
    intervals_each_ *= 2;
  }
  columns_.push_back(column_of(interval));
  in_last_ = 1;
}

std::vector<TimelineColumn> Timeline::in_columns(size_t most) const {
  return together(columns_, std::max<size_t>((columns_.size() + most - 1) / most, 1));
}

}  // namespace epulse::report
