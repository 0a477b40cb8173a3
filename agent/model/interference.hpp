#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace epulse::model {

// What kept workers from their CPUs beside other threads, over an interval.
struct Interference {
  struct Cpu {
    int cpu = 0;
    double softirq_share = 0;  // of the CPU's time
    double steal_share = 0;    // by the hypervisor
  };
  double seconds = 0;
  std::vector<Cpu> cpus;
  uint64_t throttled_times = 0;  // by a CPU quota of the process's control groups
  uint64_t throttled_ns = 0;     // all CPUs together
};

// "softirqs 4.1 % of CPU 1; hypervisor 2.0 % of CPU 0; CPU quota: throttled 24 times, 120.0 ms/s";
// leaves out what is below 0.5 %; empty when there is nothing to tell.
std::string text_of(const Interference& interference);

}  // namespace epulse::model
