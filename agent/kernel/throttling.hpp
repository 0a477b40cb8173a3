#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "agent/kernel/process.hpp"

namespace epulse::kernel {

inline const std::string kCgroups = "/sys/fs/cgroup";

// How often and for how long (all CPUs together) a CPU quota has held a process up, since its
// control groups were made.
struct Throttling {
  uint64_t times = 0;
  uint64_t ns = 0;
};

// The cpu.stat files that tell of process `pid`: of its control group and of all above it that we
// see (in a cgroup namespace the topmost is the container's), version 2 or 1 (cpu controller).
// Empty where there is no such process or no cgroup file system.
std::vector<std::string> throttling_files(pid_t pid, const std::string& proc = kProc,
                                          const std::string& root = kCgroups);

// Nothing where the file is gone, or there is no quota.
Throttling read_throttling(const std::string& file);

}  // namespace epulse::kernel
