#include "agent/daemon/causes.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <fstream>

#include "agent/kernel/listeners.hpp"
#include "agent/kernel/process.hpp"
#include "agent/kernel/topology.hpp"

namespace epulse::daemon {
namespace {

constexpr uint64_t kLookAroundNs = 300'000'000'000;

// Of cgroup version 2, "0::/path".
std::string cgroup_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/cgroup", pid));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::")) return line.substr(3);
  }
  return {};
}

}  // namespace

Causes::Causes(pid_t pid) : pid_(pid), interference_({pid}), diagnosis_(kernel::cpu_topology()) {}

void Causes::look_around(const TargetSample& sample, uint64_t now_ns) {
  if (now_ns < next_look_ns_) return;
  next_look_ns_ = now_ns + kLookAroundNs;
  process_ = fmt::format("{}[{}]", kernel::process_name(pid_), pid_);
  cgroup_ = cgroup_of(pid_);
  // epulse-ws has one for each worker.
  listeners_ = sample.pages.empty() ? kernel::listeners_of_one_port(pid_) : sample.pages.size();
}

tuners::Findings Causes::step(const TargetSample& sample, uint64_t now_ns) {
  look_around(sample, now_ns);
  tuners::Observed observed;
  observed.process = process_;
  observed.sched = sample.sched;
  observed.epoll = sample.epoll;
  observed.interference = interference_.sample({pid_});
  observed.blames = sample.blames;
  for (const model::Blame& blame : sample.blames) {
    const auto culprit = static_cast<pid_t>(blame.culprit);
    const int policy = culprit == 0 ? SCHED_OTHER : sched_getscheduler(culprit);
    if (policy == SCHED_FIFO || policy == SCHED_RR) observed.real_time.insert(culprit);
  }
  observed.bundled = !sample.pages.empty();
  for (const epulse_stats_worker& page : sample.pages) {
    observed.workers.push_back({static_cast<pid_t>(page.tid), page.connections});
  }
  observed.listeners_of_one_port = listeners_;
  observed.cgroup = cgroup_;
  return diagnosis_.step(observed, now_ns);
}

}  // namespace epulse::daemon
