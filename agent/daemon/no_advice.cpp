#include "agent/daemon/no_advice.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace epulse::daemon {
namespace {

using model::CpuSet;
using model::SchedInterval;
using model::ThreadSched;

uint64_t delay_ns(const ThreadSched& thread) {
  return thread.wakeup_ns_p99.value_or(thread.delay_ns_mean);
}

const ThreadSched* latest_worker(const SchedInterval& interval) {
  const ThreadSched* latest = nullptr;
  for (const ThreadSched& thread : interval.threads) {
    if (!thread.is_worker) continue;
    if (latest == nullptr || delay_ns(thread) > delay_ns(*latest)) latest = &thread;
  }
  return latest;
}

// The least of what others use of a CPU that the thread may run on.
double foreign_share(const SchedInterval& interval, const CpuSet& mask) {
  double least = 1;
  for (const model::CpuSched& cpu : interval.cpus) {
    if (mask.contains(cpu.cpu)) least = std::min(least, cpu.busy_share - cpu.target_share);
  }
  return least;
}

}  // namespace

std::string why_no_affinity_advice(const SchedInterval& interval, const CpuSet& usable,
                                   const config::AffinityTuner& config) {
  if (!interval.wakeups_measured) {
    return "wake-ups were only counted in this interval, to keep to probes.overhead_budget";
  }
  const ThreadSched* const worker = latest_worker(interval);
  if (worker == nullptr) return "no thread has waited on an epoll instance";
  const std::string latest = fmt::format(
      "the worker that waits longest, {}[{}], waits {} us {}", worker->name, worker->tid,
      delay_ns(*worker) / 1000,
      worker->wakeup_ns_p99 ? "from woken to running at p99" : "per time slice as a mean");
  if (worker->wakeup_ns_p99 && *worker->wakeup_ns_p99 <= config.wakeup_p99_us * 1000) {
    return fmt::format("{} (limit {} us)", latest, config.wakeup_p99_us);
  }
  if ((worker->allowed & usable) == usable) {
    return fmt::format(
        "{}, but it may run on every CPU there is for it ({}): the scheduler chooses", latest,
        usable.to_string());
  }
  return fmt::format(
      "{}; others keep its CPU {} {:.0f} % busy (limit {:.0f} %), and it takes some intervals in a "
      "row and a CPU that is clearly better",
      latest, worker->allowed.to_string(), foreign_share(interval, worker->allowed) * 100,
      config.foreign_busy_min * 100);
}

}  // namespace epulse::daemon
