#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace epulse::actuate {

struct ThreadStat {
  std::string name;
  char state = '?';
  uint64_t start_ticks = 0;  // since boot: with the id, an identity that is not reused
};

// The text of /proc/PID/task/TID/stat; nullopt when malformed.
std::optional<ThreadStat> parse_thread_stat(std::string_view text);

// nullopt when there is no such thread, or it is a zombie: nothing can be done to it any more.
std::optional<ThreadStat> read_thread_stat(pid_t pid, pid_t tid);

}  // namespace epulse::actuate
