#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/model/blame.hpp"
#include "agent/model/epoll_stats.hpp"

namespace epulse::model {

// Where the time of one worker went: kernel, scheduler or application, with the figure that says
// so. One line; "idle" when nothing was delivered.
std::string verdict(const WorkerStats& worker);

// The same for a narrow place, and who is to blame when it is the scheduler: "scheduler 62 %:
// behind gzip[4711] 38.0 ms/s". `blames`: of this worker, over `detailed_ns`, the most stolen time
// first.
std::string short_verdict(const WorkerStats& worker, const std::vector<Blame>& blames,
                          uint64_t detailed_ns);

}  // namespace epulse::model
