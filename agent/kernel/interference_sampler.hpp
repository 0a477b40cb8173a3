#pragma once

#include <cstdint>
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

  // Since the last call; `pids` are those of now.
  model::Interference sample(const std::vector<pid_t>& pids);
  // Since construction, up to the last call.
  model::Interference total() const;

 private:
  struct Reading {
    uint64_t time_ns = 0;
    std::map<int, CpuTimes> cpus;
    std::map<std::string, Throttling> throttling;  // by file
  };
  static Reading read(const std::vector<pid_t>& pids);

  Reading first_;
  Reading last_;
  Throttling throttled_;  // in all intervals
};

}  // namespace epulse::kernel
