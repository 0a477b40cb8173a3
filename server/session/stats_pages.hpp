#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/unique_fd.hpp"
#include "server/contract/stats_page.h"

namespace epulse::server {

// The shared-memory object of this process (contract/stats_page.h), removed by the destructor.
class StatsPages {
 public:
  // Throws Error.
  explicit StatsPages(std::size_t workers);
  StatsPages(const StatsPages&) = delete;
  StatsPages& operator=(const StatsPages&) = delete;
  ~StatsPages();

  epulse_stats_worker& worker(std::size_t index);
  const epulse_stats_worker& worker(std::size_t index) const;

  // A copy of every worker's page.
  std::vector<epulse_stats_worker> read() const;

  // Every counter of every worker, one line each.
  std::string text() const;

 private:
  std::string name_;
  UniqueFd fd_;  // its lock says that we live
  std::size_t workers_;
  std::size_t bytes_;
  char* base_ = nullptr;
};

}  // namespace epulse::server
