#include "agent/daemon/no_advice.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace epulse::daemon {
namespace {

using model::CpuSet;
using model::SchedInterval;
using model::ThreadSched;

constexpr size_t kWorkersMax = 5;  // named

uint64_t delay_ns(const ThreadSched& thread) {
  return thread.wakeup_ns_p99.value_or(thread.delay_ns_mean);
}

// Those that wait longest first.
std::vector<const ThreadSched*> workers_of(const SchedInterval& interval) {
  std::vector<const ThreadSched*> workers;
  for (const ThreadSched& thread : interval.threads) {
    if (thread.is_worker) workers.push_back(&thread);
  }
  std::stable_sort(workers.begin(), workers.end(), [](const ThreadSched* a, const ThreadSched* b) {
    return delay_ns(*a) > delay_ns(*b);
  });
  return workers;
}

std::string wait_text(const ThreadSched& worker, const config::AffinityTuner& config) {
  if (worker.wakeup_ns_p99) {
    return fmt::format("waits {} us from woken to running at p99 (limit {} us)",
                       *worker.wakeup_ns_p99 / 1000, config.wakeup_p99_us);
  }
  return fmt::format(
      "waits {} us per time slice as a mean (limit {} us), {:.1f} % of the time (limit {:.1f} %)",
      worker.delay_ns_mean / 1000, config.wakeup_p99_us / tuners::kMeanToP99,
      worker.delay_share * 100, config.delay_share_min * 100);
}

// What the best of the other CPUs lacks.
std::string balance_text(const tuners::AffinityBalance& balance) {
  std::string text = fmt::format(
      "; the best other CPU is {}, at a price of {:.2f} against {:.2f} of CPU {}{}; its gain has "
      "summed up to {:.2f} of {:.2f}{}",
      balance.best->cpu, balance.best_price, balance.present_price, balance.present->cpu,
      balance.has_room ? "" : ", and has no room for it", balance.gain, tuners::kGainMin,
      balance.gain < tuners::kGainMin
          ? ""
          : fmt::format(", but it has to be cheaper by {:.2f} now, and for two intervals",
                        tuners::kMargin));
  if (balance.cooldown_ns > 0) {
    text += fmt::format("; cooldown for another {} s",
                        (balance.cooldown_ns + 999'999'999) / 1'000'000'000);
  }
  return text;
}

std::string obstacle(const ThreadSched& worker, const SchedInterval& interval, const CpuSet& usable,
                     const config::AffinityTuner& config, const tuners::AffinityBalance& balance) {
  if (interval.throttled_share > tuners::kThrottledMax) {
    return fmt::format(
        ", but a CPU quota held its process up for {:.0f} % of the time (limit {:.0f} %): it would "
        "wait anywhere",
        interval.throttled_share * 100, tuners::kThrottledMax * 100);
  }
  if ((worker.allowed & usable) == usable) {
    return fmt::format(", but it may run on every CPU there is for it ({}): the scheduler chooses",
                       usable.to_string());
  }
  if (balance.present == nullptr || balance.best == nullptr) {
    return fmt::format("; nothing is known of {} that it may use ({})",
                       balance.present == nullptr ? "the CPUs" : "another CPU",
                       (balance.present == nullptr ? worker.allowed : usable).to_string());
  }
  if (balance.others_share < config.foreign_busy_min) {
    return fmt::format("; others keep its CPU {} {:.0f} % busy ({:.0f} % needed)",
                       balance.present->cpu, balance.others_share * 100,
                       config.foreign_busy_min * 100);
  }
  return balance_text(balance);
}

}  // namespace

std::vector<std::string> why_no_affinity_advice(const SchedInterval& interval, const CpuSet& usable,
                                                const config::AffinityTuner& config,
                                                const tuners::AffinityTuner& tuner,
                                                uint64_t now_ns) {
  const std::vector<const ThreadSched*> workers = workers_of(interval);
  if (workers.empty()) return {"no thread has waited on an epoll instance"};
  std::vector<std::string> why;
  size_t late = 0;
  for (const ThreadSched* const worker : workers) {
    if (!tuner.waits_too_long(*worker) || ++late > kWorkersMax) continue;
    why.push_back(fmt::format(
        "{}[{}] {}{}", worker->name, worker->tid, wait_text(*worker, config),
        obstacle(*worker, interval, usable, config, tuner.balance(*worker, usable, now_ns))));
  }
  if (late > kWorkersMax) {
    why.push_back(fmt::format("{} more workers wait too long", late - kWorkersMax));
  }
  if (late == 0 && !interval.wakeups_measured) {
    why.emplace_back(
        "wake-ups were only counted in this interval, to keep to probes.overhead_budget");
  } else if (late == 0) {
    why.push_back(fmt::format("the worker that waits longest, {}[{}], {}", workers[0]->name,
                              workers[0]->tid, wait_text(*workers[0], config)));
  }
  return why;
}

}  // namespace epulse::daemon
