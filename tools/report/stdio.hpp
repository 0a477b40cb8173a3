#pragma once

#include <string_view>

#include "tools/report/summary.hpp"

namespace epulse::report {

// What workers are sorted by, the largest first.
enum class SortKey { kRecorded, kEvents, kDepth, kWakeup, kLatency, kHandler };
inline constexpr std::string_view kSortKeys[] = {"recorded", "events",  "depth",
                                                 "wakeup",   "latency", "handler"};

struct StdioOptions {
  bool histograms = true;
  bool timeline = true;
  SortKey sort = SortKey::kRecorded;
  size_t workers = 0;  // the first so many; 0: all
};

// Those that waited, in the order wanted.
model::EpollSnapshot chosen_workers(const model::EpollSnapshot& total, const StdioOptions& options);

// All that `epulse report` writes to standard output. The recording may come from a stranger: no
// figure in it is trusted to fit another.
void print_report(const Summary& summary, const StdioOptions& options);

}  // namespace epulse::report
