#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "agent/model/sched.hpp"
#include "agent/tuners/affinity.hpp"

namespace epulse::simulation {

constexpr uint64_t kSecond = 1'000'000'000;

// The load of others on one CPU: a level, and fluctuation about it that outlasts an interval.
class Load {
 public:
  Load(double level, double deviation, double persistence)
      : level_(level), deviation_(deviation), persistence_(persistence) {}
  double next(std::mt19937_64& random);
  void set_level(double level) { level_ = level; }

 private:
  double level_;
  double deviation_;    // standard deviation
  double persistence_;  // 0: each interval is anew; autocorrelation of an AR(1) process
  double offset_ = 0;
};

// CPUs with the loads of others on them, and a server's workers, each pinned to one. What a worker
// waits for is the test's to say.
class SimulatedMachine {
 public:
  // ns at p99 of a worker on a CPU that others use to this share.
  using Response = std::function<double(double others_share, int cpu)>;

  SimulatedMachine(std::vector<Load> loads, Response response, std::mt19937_64& random)
      : loads_(std::move(loads)), response_(std::move(response)), random_(random) {}

  void add_worker(int cpu, double run_share);
  // The next second.
  const model::SchedInterval& next();
  void move(pid_t tid, const model::CpuSet& mask);
  std::vector<Load>& loads() { return loads_; }
  size_t workers() const { return interval_.threads.size(); }
  int cpu_of(size_t worker) const { return interval_.threads[worker].cpu; }

 private:
  std::vector<Load> loads_;
  Response response_;
  std::mt19937_64& random_;
  model::SchedInterval interval_;
};

}  // namespace epulse::simulation
