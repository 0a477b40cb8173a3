#include "agent/kernel/interference_sampler.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "agent/kernel/sched_sampler.hpp"

namespace epulse::kernel {
namespace {

// Processes of one group have it once.
std::vector<std::string> files_of(const std::vector<pid_t>& pids) {
  std::set<std::string> files;
  for (const pid_t pid : pids) {
    for (std::string& file : throttling_files(pid)) files.insert(std::move(file));
  }
  return {files.begin(), files.end()};
}

}  // namespace

InterferenceSampler::InterferenceSampler(const std::vector<pid_t>& pids)
    : files_(files_of(pids)),
      last_ns_(monotonic_ns()),
      cpus_(cpu_times()),
      throttling_(read_throttling(files_)) {}

model::Interference InterferenceSampler::sample() {
  model::Interference interference;
  const uint64_t now_ns = monotonic_ns();
  interference.seconds = static_cast<double>(now_ns - last_ns_) / 1e9;
  std::map<int, CpuTimes> cpus = cpu_times();
  for (const auto& [cpu, now] : cpus) {
    const auto before = cpus_.find(cpu);
    if (before == cpus_.end() || now.total <= before->second.total) continue;
    const auto ticks = static_cast<double>(now.total - before->second.total);
    interference.cpus.push_back({cpu,
                                 static_cast<double>(now.softirq - before->second.softirq) / ticks,
                                 static_cast<double>(now.steal - before->second.steal) / ticks});
  }
  // A group that went takes its share with it.
  const Throttling throttling = read_throttling(files_);
  interference.throttled_times =
      throttling.times - std::min(throttling.times, throttling_.times);
  interference.throttled_ns = throttling.ns - std::min(throttling.ns, throttling_.ns);
  last_ns_ = now_ns;
  cpus_ = std::move(cpus);
  throttling_ = throttling;
  return interference;
}

}  // namespace epulse::kernel
