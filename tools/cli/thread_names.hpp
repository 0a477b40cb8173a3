#pragma once

#include "agent/export/record_format.hpp"
#include "agent/kernel/process.hpp"

namespace epulse::cli {

// Looks up the names of workers seen for the first time; a thread that is gone keeps the name it
// had.
inline void add_thread_names(pid_t pid, const model::EpollSnapshot& interval,
                             record::ThreadNames& names) {
  for (const model::WorkerStats& worker : interval.workers) {
    if (names.contains(worker.key.tid)) continue;
    const auto stat = kernel::thread_stat(pid, static_cast<pid_t>(worker.key.tid));
    if (stat) names[worker.key.tid] = stat->name;
  }
}

}  // namespace epulse::cli
