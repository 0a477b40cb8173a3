#pragma once

#include <sys/types.h>

#include <optional>

#include "agent/kernel/process.hpp"

namespace epulse::actuate {

// nullopt when there is no such thread, or it is a zombie: nothing can be done to it any more.
// Throws Error when /proc does not tell, since then neither "there" nor "gone" would be true.
std::optional<kernel::ThreadStat> read_thread_stat(pid_t pid, pid_t tid);

}  // namespace epulse::actuate
