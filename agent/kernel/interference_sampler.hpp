#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/kernel/cpu_times.hpp"
#include "agent/kernel/throttling.hpp"
#include "agent/model/interference.hpp"

namespace epulse::kernel {

// What kept some processes from the CPU beside other threads. Reads /proc and the cgroup file
// system; the first interval starts at construction.
class InterferenceSampler {
 public:
  explicit InterferenceSampler(const std::vector<pid_t>& pids);

  // Since the last call.
  model::Interference sample();

 private:
  std::vector<std::string> files_;
  uint64_t last_ns_;
  std::map<int, CpuTimes> cpus_;
  Throttling throttling_;
};

}  // namespace epulse::kernel
