#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "agent/kernel/process.hpp"

namespace epulse::kernel {

// What one CPU did since boot, in clock ticks (/proc/stat, Documentation/filesystems/proc.rst).
struct CpuTimes {
  uint64_t total = 0;
  uint64_t busy = 0;     // neither idle nor waiting for I/O; what follows is part of it
  uint64_t softirq = 0;  // as the tick finds it, unless the kernel accounts interrupts exactly
  uint64_t steal = 0;    // taken by the hypervisor
};

// By CPU; empty when it cannot be read.
std::map<int, CpuTimes> cpu_times(const std::string& proc = kProc);

}  // namespace epulse::kernel
