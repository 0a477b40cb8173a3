#include "agent/daemon/observations.hpp"

#include <fmt/format.h>

#include "agent/model/text.hpp"

namespace epulse::daemon {
namespace {

enum Rule : size_t { kDepth, kWakeup };

std::string thread_name(const model::SchedInterval& sched, uint32_t tid) {
  for (const auto& thread : sched.threads) {
    if (thread.tid == static_cast<pid_t>(tid)) return fmt::format("{}[{}]", thread.name, tid);
  }
  return fmt::format("thread {}", tid);
}

}  // namespace

std::vector<alerts::AlertRule> alert_rules(const config::Alerts& config, bool with_bpf) {
  alerts::AlertRule depth;
  depth.name = "alerts.depth_max";
  depth.metric = "ready-queue depth";
  depth.statistic = "max";
  depth.threshold = static_cast<double>(config.depth_max);
  alerts::AlertRule wakeup;
  wakeup.name = "alerts.wakeup_p99_us";
  wakeup.metric =
      with_bpf ? "wake-up latency (woken to running)" : "run-queue delay per time slice";
  wakeup.statistic = with_bpf ? "p99" : "mean";
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
        fmt::format("{} epfd {}", thread_name(sample.sched, worker.key.tid), worker.key.epfd);
    const auto& depth = worker.items[EPOLL_ITEMS_LISTED];
    const auto& delay = worker.stages[EPOLL_STAGE_WOKEN_TO_RUNNING];
    all.push_back({kDepth, subject, static_cast<double>(depth.max()), depth.count()});
    all.push_back(
        {kWakeup, subject, static_cast<double>(delay.quantile(0.99)) / 1000, delay.count()});
  }
  return all;
}

std::string exceptions_text(const std::vector<epoll_wait_record>& exceptions,
                            const model::SchedInterval& sched) {
  size_t late = 0;
  size_t deep = 0;
  const epoll_wait_record* latest = nullptr;
  const epoll_wait_record* deepest = nullptr;
  for (const epoll_wait_record& wait : exceptions) {
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
                        thread_name(sched, latest->tid), latest->cpu);
  }
  if (deepest != nullptr) {
    text += fmt::format("{}{} deep queues, worst {} items: {} epfd {}", text.empty() ? "" : "; ",
                        deep, deepest->items[EPOLL_ITEMS_LISTED], thread_name(sched, deepest->tid),
                        deepest->epfd);
  }
  return text;
}

}  // namespace epulse::daemon
