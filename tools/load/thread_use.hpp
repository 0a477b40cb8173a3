#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace epulse::load {

// What the scheduler has given a thread, and let it wait for, since it began.
struct SchedulerTimes {
  std::uint64_t running_ns = 0;
  std::uint64_t waiting_ns = 0;  // ready to run, but not running
};

// From the text of /proc/PID/task/TID/schedstat (kernel: proc_pid_schedstat). Nothing when it is
// not of that form.
std::optional<SchedulerTimes> parse_schedstat(std::string_view text);

// Nothing when there is no such thread, or the kernel does not keep these times
// (CONFIG_SCHED_INFO).
std::optional<SchedulerTimes> scheduler_times(pid_t thread);

// Shares of a stretch of time.
struct ThreadUse {
  double running = 0;
  double waiting = 0;
};

// The most memory that this process has ever held, in bytes; 0 when /proc does not say.
std::uint64_t peak_memory_bytes();

}  // namespace epulse::load
