#include "agent/daemon/host_observer.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "agent/actuate/socket_sampler.hpp"
#include "agent/error.hpp"
#include "agent/kernel/host_settings.hpp"
#include "agent/kernel/process.hpp"

namespace epulse::daemon {
namespace {

constexpr unsigned kIntervals = 10;
// A sample says what it is about: each is held for some microseconds.
constexpr size_t kConnectionsMax = 64;

model::WakeupFacts wakeups_of(const TargetSample& sample) {
  model::WakeupFacts facts;
  if (!sample.epoll) return facts;
  uint64_t waking_ns = 0;
  uint64_t all_ns = 0;
  model::Histogram running(model::kNsShape);
  for (const model::WorkerStats& worker : sample.epoll->workers) {
    const auto& delivered = worker.stages[EPOLL_STAGE_READY_TO_DELIVERED];
    facts.deliveries += delivered.count();
    all_ns += delivered.sum();
    waking_ns += worker.stages[EPOLL_STAGE_READY_TO_WOKEN].sum();
    running.merge(worker.stages[EPOLL_STAGE_WOKEN_TO_RUNNING]);
  }
  waking_ns += running.sum();
  if (all_ns > 0) facts.share = static_cast<double>(waking_ns) / static_cast<double>(all_ns);
  facts.ns_mean = static_cast<uint64_t>(running.mean());
  double idle = 0;
  int cpus = 0;
  for (const model::CpuSched& cpu : sample.sched.cpus) {
    for (const model::ThreadSched& thread : sample.sched.threads) {
      if (!thread.is_worker || thread.cpu != cpu.cpu) continue;
      idle += 1 - cpu.busy_share;
      ++cpus;
      break;
    }
  }
  if (cpus > 0) facts.idle_share = idle / cpus;
  return facts;
}

}  // namespace

tuners::Findings HostObserver::step(const TargetSample& sample, uint64_t now_ns) {
  if (intervals_++ % kIntervals != 0) return {};
  model::HostFacts facts;
  facts.process = fmt::format("{}[{}]", kernel::process_name(pid_), pid_);
  facts.pid = pid_;
  facts.own_network = kernel::has_own_network(pid_);
  if (!facts.own_network) facts.settings = kernel::host_settings();
  facts.listen = kernel::listen_counters(pid_);
  facts.wakeups = wakeups_of(sample);
  try {
    facts.network = actuate::sample_network(pid_, kConnectionsMax);
  } catch (const Error& error) {
    if (!std::exchange(failed_, true)) spdlog::info("no advice on the host: {}", error.what());
  }
  return advice_.step(facts, now_ns);
}

}  // namespace epulse::daemon
