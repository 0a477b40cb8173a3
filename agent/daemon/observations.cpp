#include "agent/daemon/observations.hpp"

#include <fmt/format.h>

#include "agent/model/text.hpp"

namespace epulse::daemon {
namespace {

enum Rule : size_t { kDepth, kWakeup };

std::string thread_name(const TargetSample& sample, uint32_t tid) {
  for (const auto& thread : sample.sched.threads) {
    if (thread.tid == static_cast<pid_t>(tid)) return fmt::format("{}[{}]", thread.name, tid);
  }
  return fmt::format("thread {}", tid);
}

}  // namespace

std::vector<alerts::AlertRule> alert_rules(const config::Alerts& config) {
  alerts::AlertRule depth;
  depth.name = "alerts.depth_max";
  depth.metric = "ready-queue depth";
  depth.statistic = "max";
  depth.threshold = static_cast<double>(config.depth_max);
  alerts::AlertRule wakeup;
  wakeup.name = "alerts.wakeup_p99_us";
  wakeup.metric = "wake-up latency (woken to running)";
  wakeup.statistic = "p99";
  wakeup.unit = "us";
  wakeup.threshold = static_cast<double>(config.wakeup_p99_us);
  wakeup.min_samples = config.min_samples;
  for (alerts::AlertRule* rule : {&depth, &wakeup}) {
    rule->for_intervals = config.for_intervals;
    rule->clear_intervals = config.clear_intervals;
  }
  return {depth, wakeup};
}

std::vector<alerts::Observation> observations(const TargetSample& sample) {
  std::vector<alerts::Observation> all;
  if (!sample.epoll) {
    // The mean per time slice stands in for the quantile; it crosses the threshold later.
    for (const auto& thread : sample.sched.threads) {
      if (!thread.is_worker) continue;
      all.push_back({kWakeup, fmt::format("{}[{}]", thread.name, thread.tid),
                     static_cast<double>(thread.delay_ns_mean) / 1000,
                     static_cast<uint64_t>(thread.timeslices_per_second * sample.sched.seconds)});
    }
    return all;
  }
  for (const auto& worker : sample.epoll->workers) {
    const std::string subject =
        fmt::format("{} epfd {}", thread_name(sample, worker.key.tid), worker.key.epfd);
    const auto& depth = worker.items[EPOLL_ITEMS_LISTED];
    const auto& delay = worker.stages[EPOLL_STAGE_WOKEN_TO_RUNNING];
    all.push_back({kDepth, subject, static_cast<double>(depth.max()), depth.count()});
    all.push_back(
        {kWakeup, subject, static_cast<double>(delay.quantile(0.99)) / 1000, delay.count()});
  }
  return all;
}

std::string exceptions_text(const TargetSample& sample) {
  size_t late = 0;
  size_t deep = 0;
  const epoll_wait_record* latest = nullptr;
  const epoll_wait_record* deepest = nullptr;
  for (const epoll_wait_record& wait : sample.exceptions) {
    if ((wait.reasons & EPOLL_WAIT_LATE) != 0) {
      ++late;
      if (latest == nullptr || wait.stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING] >
                                   latest->stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING]) {
        latest = &wait;
      }
    }
    if ((wait.reasons & EPOLL_WAIT_DEEP) != 0) {
      ++deep;
      if (deepest == nullptr ||
          wait.items[EPOLL_ITEMS_LISTED] > deepest->items[EPOLL_ITEMS_LISTED]) {
        deepest = &wait;
      }
    }
  }
  std::string text;
  if (latest != nullptr) {
    text += fmt::format("{} late wake-ups, worst {}: {} on CPU {}", late,
                        model::duration_text(latest->stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING]),
                        thread_name(sample, latest->tid), latest->cpu);
  }
  if (deepest != nullptr) {
    text += fmt::format("{}{} deep queues, worst {} items: {} epfd {}", text.empty() ? "" : "; ", deep,
                        deepest->items[EPOLL_ITEMS_LISTED], thread_name(sample, deepest->tid),
                        deepest->epfd);
  }
  return text;
}

}  // namespace epulse::daemon
