#include "agent/kernel/interference_sampler.hpp"

#include <algorithm>
#include <utility>

#include "agent/kernel/sched_sampler.hpp"

namespace epulse::kernel {
namespace {

// Of counters that may go backwards: a hypervisor's, when the machine is moved.
double share(uint64_t now, uint64_t before, double ticks) {
  return now < before ? 0 : static_cast<double>(now - before) / ticks;
}

std::vector<model::Interference::Cpu> shares(const std::map<int, CpuTimes>& before,
                                             const std::map<int, CpuTimes>& now) {
  std::vector<model::Interference::Cpu> cpus;
  for (const auto& [cpu, times] : now) {
    const auto earlier = before.find(cpu);
    if (earlier == before.end() || times.total <= earlier->second.total) continue;
    const auto ticks = static_cast<double>(times.total - earlier->second.total);
    cpus.push_back({cpu, share(times.softirq, earlier->second.softirq, ticks),
                    share(times.steal, earlier->second.steal, ticks)});
  }
  return cpus;
}

}  // namespace

InterferenceSampler::InterferenceSampler(const std::vector<pid_t>& pids)
    : first_(read(pids)), last_(first_) {}

InterferenceSampler::Reading InterferenceSampler::read(const std::vector<pid_t>& pids) {
  Reading reading;
  reading.time_ns = monotonic_ns();
  reading.cpus = cpu_times();
  for (const pid_t pid : pids) {
    for (const std::string& file : throttling_files(pid)) {  // those of one group have it once
      if (!reading.throttling.contains(file)) reading.throttling[file] = read_throttling(file);
    }
  }
  return reading;
}

model::Interference InterferenceSampler::sample(const std::vector<pid_t>& pids) {
  Reading now = read(pids);
  model::Interference interval;
  interval.seconds = static_cast<double>(now.time_ns - last_.time_ns) / 1e9;
  interval.cpus = shares(last_.cpus, now.cpus);
  for (const auto& [file, throttling] : now.throttling) {
    const auto before = last_.throttling.find(file);
    // One that is new to us: what it had before is not ours to tell.
    if (before == last_.throttling.end()) continue;
    const Throttling& earlier = before->second;
    if (throttling.times < earlier.times || throttling.ns < earlier.ns) continue;  // made anew
    interval.throttled_times += throttling.times - earlier.times;
    interval.throttled_ns += throttling.ns - earlier.ns;
  }
  throttled_.times += interval.throttled_times;
  throttled_.ns += interval.throttled_ns;
  last_ = std::move(now);
  return interval;
}

model::Interference InterferenceSampler::total() const {
  return {static_cast<double>(last_.time_ns - first_.time_ns) / 1e9,
          shares(first_.cpus, last_.cpus), throttled_.times, throttled_.ns};
}

}  // namespace epulse::kernel
