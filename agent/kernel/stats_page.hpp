#pragma once

#include <sys/types.h>

#include <memory>
#include <vector>

#include "server/contract/stats_page.h"

namespace epulse::kernel {

// The bundled server's shared-memory statistics, read without its help.
class StatsPage {
 public:
  // nullptr when the process has none, or one of another version. Anybody may create a file of that
  // name, so it counts only when it is the process's own user's, and is read, not mapped: a file
  // cut short under a mapping would be our end.
  static std::unique_ptr<StatsPage> open(pid_t pid);
  ~StatsPage();
  StatsPage(const StatsPage&) = delete;
  StatsPage& operator=(const StatsPage&) = delete;

  // A copy of every worker's counters; empty when the file was cut short.
  std::vector<epulse_stats_worker> read() const;

 private:
  StatsPage(int fd, size_t workers) : fd_(fd), workers_(workers) {}

  int fd_;
  size_t workers_;
};

}  // namespace epulse::kernel
