#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/kernel/cpu_times.hpp"
#include "agent/kernel/process.hpp"
#include "agent/kernel/throttling.hpp"
#include "agent/model/sched.hpp"

namespace epulse::kernel {

// Samples /proc for what the scheduler did with one process's threads and with every CPU. Needs no
// privilege. The first interval starts at construction.
class SchedSampler {
 public:
  explicit SchedSampler(pid_t pid);
  // What happened since the last call (or construction). Threads that came in between are left out
  // until the next.
  model::SchedInterval sample();

  // Adds to each CPU of `interval` how many threads of other programs want it now. Reads every
  // thread of the host, some 10 us each: for when something is wrong, not for every interval.
  void count_runnable(model::SchedInterval& interval) const;

 private:
  struct ThreadTimes {
    uint64_t start_ticks = 0;
    SchedStat stat;
  };

  double throttled_share(double seconds);

  pid_t pid_;
  std::vector<std::string> quota_files_;
  uint64_t throttled_ns_ = 0;
  uint64_t last_ns_ = 0;
  std::map<int, CpuTimes> cpus_;
  std::map<pid_t, ThreadTimes> threads_;
};

// CLOCK_MONOTONIC, ns: the clock of bpf_ktime_get_ns().
uint64_t monotonic_ns();

}  // namespace epulse::kernel
