#pragma once

#include <sys/types.h>

#include <string>

#include "agent/model/cpu_set.hpp"

namespace epulse::kernel {

// The CPUs that a process, or a thread, may be put on: its cgroup's cpuset (v2, then v1), else all
// online CPUs. `root` stands before /proc and /sys, for tests.
model::CpuSet usable_cpus(pid_t pid, const std::string& root = "");

}  // namespace epulse::kernel
