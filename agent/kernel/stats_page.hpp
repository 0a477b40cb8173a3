#pragma once

#include <sys/types.h>

#include <memory>
#include <vector>

#include "server/contract/stats_page.h"

namespace epulse::kernel {

// The bundled server's shared-memory statistics, read without its help.
class StatsPage {
 public:
  // nullptr when the process has none, or one of another version.
  static std::unique_ptr<StatsPage> open(pid_t pid);
  ~StatsPage();
  StatsPage(const StatsPage&) = delete;
  StatsPage& operator=(const StatsPage&) = delete;

  // A copy of every worker's counters.
  std::vector<epulse_stats_worker> read() const;

 private:
  StatsPage(const char* memory, size_t bytes) : memory_(memory), bytes_(bytes) {}

  const char* memory_;
  size_t bytes_;
};

}  // namespace epulse::kernel
