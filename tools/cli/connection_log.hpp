#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "agent/export/record_format.hpp"
#include "agent/model/epoll_stats.hpp"

namespace epulse::cli {

// Which connections the workers' epoll instances watch, as /proc tells it.
class ConnectionLog {
 public:
  // Those of the interval's workers that are new. Nothing where the last look was so short a time
  // ago that looking would take more than a hundredth of the time, unless it is the `last` one.
  std::vector<record::WatchedConnection> look(const model::EpollSnapshot& interval, bool last);
  // All that it has given and that are there still, or were when it last looked.
  std::vector<record::WatchedConnection> given() const;

 private:
  struct Process {
    std::map<uint64_t, record::WatchedConnection> given;  // by the socket's inode
    std::map<uint64_t, int> unclear;                      // so often looked for in vain
  };
  static std::set<uint64_t> news_of(pid_t pid, Process& process);

  std::map<pid_t, Process> processes_;
  uint64_t next_ns_ = 0;  // CLOCK_MONOTONIC
};

}  // namespace epulse::cli
