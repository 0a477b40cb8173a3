#pragma once

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "agent/export/record_format.hpp"
#include "agent/model/epoll_stats.hpp"

namespace epulse::cli {

// Which connections the workers' epoll instances watch, as /proc tells it.
class ConnectionLog {
 public:
  // Those of the interval's workers that it has not given yet. Nothing, too, where the last look
  // was so short a time ago that looking would take more than a hundredth of the time.
  std::vector<record::WatchedConnection> look(const model::EpollSnapshot& interval);
  // Gives all once more.
  void forget() { given_.clear(); }

 private:
  std::set<std::pair<uint64_t, uint64_t>> given_;  // instance, inode
  uint64_t next_ns_ = 0;                           // CLOCK_MONOTONIC
};

}  // namespace epulse::cli
