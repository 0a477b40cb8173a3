#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/model/cpu_set.hpp"
#include "agent/model/histogram.hpp"

// The scheduler's side of a target over one sampling interval: what the affinity tuner decides on.
// Shares are fractions of the interval, 0 to 1.
namespace epulse::model {

struct ThreadSched {
  pid_t tid = 0;
  uint64_t start_ticks = 0;  // /proc/PID/task/TID/stat field 22: with tid, the thread's identity
  std::string name;
  int cpu = 0;             // where it ran last
  CpuSet allowed;          // its affinity mask now
  double run_share = 0;    // on a CPU (schedstat field 1)
  double delay_share = 0;  // runnable, waiting for a CPU (schedstat field 2)
  double timeslices_per_second = 0;
  uint64_t delay_ns_mean = 0;             // delay per time slice
  bool is_worker = false;                 // waits on an epoll instance
  std::optional<uint64_t> wakeup_ns_p99;  // woken to running; absent without BPF
  std::optional<Histogram> wakeup_ns{};   // the whole distribution that the p99 is of
};

struct CpuSched {
  int cpu = 0;
  double busy_share = 0;     // not idle, /proc/stat; each of the next three is part of it
  double target_share = 0;   // the target's own threads
  double softirq_share = 0;  // as the tick finds it, unless the kernel accounts interrupts exactly
  double steal_share = 0;    // what the hypervisor gave to others
  // Other programs' threads that want the CPU, at one look; absent when nobody looked.
  std::optional<int> foreign_runnable{};
  bool foreign_real_time =
      false;  // one of them is of a real-time class: others wait until it sleeps
};

struct SchedInterval {
  double seconds = 0;
  std::vector<ThreadSched> threads;
  std::vector<CpuSched> cpus;  // online CPUs
  // False: BPF could have measured wake-ups and, to keep to its budget, only counted in this one.
  bool wakeups_measured = true;
  // For how much of it a CPU quota held the target's threads up, all of them together.
  double throttled_share = 0;
};

}  // namespace epulse::model
