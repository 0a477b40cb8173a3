#include "tests/simulation/simulated_machine.hpp"

#include <algorithm>
#include <cmath>

namespace epulse::simulation {

double Load::next(std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  offset_ = persistence_ * offset_ +
            deviation_ * std::sqrt(1 - persistence_ * persistence_) * normal(random);
  return std::clamp(level_ + offset_, 0.0, 1.0);
}

void SimulatedMachine::add_worker(int cpu, double run_share) {
  model::ThreadSched thread;
  thread.tid = static_cast<pid_t>(100 + interval_.threads.size());
  thread.start_ticks = 7;
  thread.name = "worker";
  thread.cpu = cpu;
  thread.allowed = model::CpuSet::of(cpu);
  thread.run_share = run_share;
  thread.timeslices_per_second = 1000;
  thread.is_worker = true;
  interval_.threads.push_back(thread);
}

const model::SchedInterval& SimulatedMachine::next() {
  interval_.seconds = 1;
  interval_.cpus.resize(loads_.size());
  for (size_t cpu = 0; cpu < loads_.size(); ++cpu) {
    const double foreign = loads_[cpu].next(random_);
    interval_.cpus[cpu] = {static_cast<int>(cpu), foreign, 0};
    for (const model::ThreadSched& thread : interval_.threads) {
      if (thread.cpu == static_cast<int>(cpu)) interval_.cpus[cpu].target_share += thread.run_share;
    }
    interval_.cpus[cpu].target_share = std::min(interval_.cpus[cpu].target_share, 1 - foreign);
    interval_.cpus[cpu].busy_share += interval_.cpus[cpu].target_share;
  }
  for (model::ThreadSched& thread : interval_.threads) {
    const model::CpuSched& cpu = interval_.cpus[static_cast<size_t>(thread.cpu)];
    const double others = std::max(0.0, cpu.busy_share - thread.run_share);
    const double delay_ns = std::max(0.0, response_(others, thread.cpu));
    thread.wakeup_ns_p99 = static_cast<uint64_t>(delay_ns);
    thread.delay_ns_mean = static_cast<uint64_t>(delay_ns / 5);
    thread.delay_share = others / 2;
  }
  return interval_;
}

void SimulatedMachine::move(pid_t tid, const model::CpuSet& mask) {
  for (model::ThreadSched& thread : interval_.threads) {
    if (thread.tid != tid) continue;
    thread.allowed = mask;
    if (!mask.contains(thread.cpu)) thread.cpu = mask.first();
  }
}

}  // namespace epulse::simulation
