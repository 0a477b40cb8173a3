#pragma once

#include <string>

#include "agent/model/cpu_topology.hpp"

namespace epulse::kernel {

// From sysfs (Documentation/ABI/stable/sysfs-devices-system-cpu), online CPUs only; what it does
// not tell of a CPU is left out: then it is like all others. `root` stands before /sys, for tests.
model::CpuTopology cpu_topology(const std::string& root = "");

}  // namespace epulse::kernel
