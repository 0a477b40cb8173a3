#pragma once

#include "agent/export/record_format.hpp"
#include "agent/kernel/process.hpp"
#include "agent/model/uring_stats.hpp"

namespace epulse::cli {

// Looks up the name of a thread seen for the first time; one that is gone keeps the name it had.
inline void add_thread_name(pid_t pid, uint32_t tid, record::ThreadNames& names) {
  if (names.contains(tid)) return;
  const auto stat = kernel::thread_stat(pid, static_cast<pid_t>(tid));
  if (stat) names[tid] = stat->name;
}

inline void add_thread_names(pid_t pid, const model::EpollSnapshot& interval,
                             record::ThreadNames& names) {
  for (const model::WorkerStats& worker : interval.workers) {
    add_thread_name(pid, worker.key.tid, names);
  }
}

inline void add_thread_names(pid_t pid, const model::UringSnapshot& interval,
                             record::ThreadNames& names) {
  for (const model::RingUserStats& user : interval.users) {
    add_thread_name(pid, user.key.tid, names);
  }
}

}  // namespace epulse::cli
