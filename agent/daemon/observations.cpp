#include "agent/daemon/observations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "agent/config/keys.hpp"
#include "agent/model/text.hpp"

namespace epulse::daemon {
namespace {

using alerts::Metric;
using alerts::Statistic;

std::string thread_name(const model::SchedInterval& sched, uint32_t tid) {
  for (const auto& thread : sched.threads) {
    if (thread.tid == static_cast<pid_t>(tid)) return fmt::format("{}[{}]", thread.name, tid);
  }
  return fmt::format("thread {}", tid);
}

// A thread that is renamed, or whose name is not known yet, stays the same.
std::string subject_of(const model::ThreadSched& thread) {
  return fmt::format("thread {}", thread.tid);
}

std::string subject_of(const model::WorkerStats& worker) {
  return fmt::format("thread {} epfd {}", worker.key.tid, worker.key.epfd);
}

bool is_of(const MetricRule& rule, Metric::Source source) {
  return rule.metric->source == source;
}

bool is_of_workers(const MetricRule& rule) {
  return !is_of(rule, Metric::Source::kThread) && !is_of(rule, Metric::Source::kLoop);
}

// "ws-worker-1[4711], ws-worker-2[4712] epfd 5 (801 items ready)"; of who waits on it, where that
// is known.
std::string name_of(const model::LoopStall& loop, const TargetSample& sample) {
  std::string name;
  for (const auto& worker : sample.epoll->workers) {
    if (worker.key.epoll_id != loop.epoll_id) continue;
    name += (name.empty() ? "" : ", ") + thread_name(sample.sched, worker.key.tid);
  }
  name += fmt::format("{}epfd {}", name.empty() ? "" : " ", loop.epfd);
  return loop.seconds > 0 ? fmt::format("{} ({} items ready)", name, loop.depth) : name;
}

bool is_stalled(const model::WorkerStats& worker, const TargetSample& sample) {
  return std::any_of(sample.stalls.begin(), sample.stalls.end(), [&](const auto& loop) {
    return loop.epoll_id == worker.key.epoll_id && loop.seconds > 0;
  });
}

// Few samples say little of a quantile or a mean; a maximum or a count of them is what it is.
bool needs_samples(Statistic statistic) {
  return statistic != Statistic::kMax && statistic != Statistic::kRate;
}

MetricRule rule_on(std::string_view metric, Statistic statistic) {
  MetricRule one;
  one.metric = &alerts::metric(metric);
  one.statistic = statistic;
  one.rule.metric = one.metric->text;
  one.rule.statistic = alerts::name_of(statistic);
  one.rule.unit = one.metric->unit;
  return one;
}

MetricRule built_in(const config::Alerts& config, std::string_view metric, Statistic statistic) {
  MetricRule one = rule_on(metric, statistic);
  one.rule.for_intervals = config.for_intervals;
  one.rule.clear_intervals = config.clear_intervals;
  one.rule.min_samples = needs_samples(statistic) ? config.min_samples : 0;
  return one;
}

uint64_t intervals_of(uint64_t seconds, uint64_t interval_ms) {
  return std::max<uint64_t>(1, (seconds * 1000 + interval_ms - 1) / interval_ms);
}

MetricRule configured(const config::AlertRule& rule, uint64_t interval_ms) {
  const auto names = alerts::statistic_names();
  const auto statistic =
      static_cast<Statistic>(std::find(names.begin(), names.end(), rule.statistic) - names.begin());
  MetricRule one = rule_on(rule.metric, statistic);
  one.rule.name = fmt::format("{} \"{}\"", config::kRuleTable, rule.name);
  one.rule.alert_name = rule.name;
  one.rule.threshold = rule.threshold;
  one.rule.for_intervals = intervals_of(rule.for_s, interval_ms);
  one.rule.clear_intervals = intervals_of(rule.clear_s, interval_ms);
  one.rule.min_samples = needs_samples(statistic) ? rule.min_samples : 0;
  one.rule.comparison =
      rule.comparison == "below" ? alerts::Comparison::kBelow : alerts::Comparison::kAbove;
  one.rule.hysteresis = rule.hysteresis;
  one.rule.severity = rule.severity;
  one.rule.labels = rule.labels;
  return one;
}

}  // namespace

std::vector<MetricRule> metric_rules(const config::Alerts& config, uint64_t interval_ms,
                                     bool with_bpf) {
  MetricRule depth = built_in(config, "depth", Statistic::kMax);
  depth.rule.name = "alerts.depth_max";
  depth.rule.alert_name = config::kDepthRule;
  depth.rule.threshold = static_cast<double>(config.depth_max);
  MetricRule wakeup = with_bpf ? built_in(config, "woken_to_running", Statistic::kP99)
                               : built_in(config, "run_queue_delay", Statistic::kMean);
  wakeup.rule.name = "alerts.wakeup_p99_us";
  wakeup.rule.alert_name = config::kWakeupRule;
  wakeup.rule.threshold = static_cast<double>(config.wakeup_p99_us);
  MetricRule stalled = built_in(config, "stalled", Statistic::kMax);
  stalled.rule.name = "alerts.stalled_s";
  stalled.rule.alert_name = config::kStalledRule;
  stalled.rule.severity = "critical";
  stalled.rule.threshold = static_cast<double>(config.stalled_s);
  stalled.rule.for_intervals = 1;  // it is a time by itself
  stalled.rule.clear_intervals = 1;
  std::vector<MetricRule> rules = {std::move(depth), std::move(wakeup), std::move(stalled)};
  for (const auto& rule : config.rules) rules.push_back(configured(rule, interval_ms));
  return rules;
}

std::set<size_t> unjudged_rules(const std::vector<MetricRule>& rules, const TargetSample& sample) {
  std::set<size_t> unjudged;
  for (size_t i = 0; i < rules.size(); ++i) {
    if (rules[i].metric->needs_detail && !sample.sched.wakeups_measured) unjudged.insert(i);
  }
  return unjudged;
}

std::vector<alerts::Observation> observations(const std::vector<MetricRule>& rules,
                                              const TargetSample& sample) {
  std::vector<alerts::Observation> all;
  const std::set<size_t> unjudged = unjudged_rules(rules, sample);
  const auto observe = [&](size_t rule, const std::string& subject, const std::string& name,
                           const alerts::Figure& figure, bool judged = true) {
    if (!unjudged.contains(rule)) {
      all.push_back({rule, subject, figure.value, figure.samples, name, judged});
    }
  };
  for (const auto& thread : sample.sched.threads) {
    if (!thread.is_worker) continue;
    const std::string subject = subject_of(thread);
    const std::string name = fmt::format("{}[{}]", thread.name, thread.tid);
    for (size_t i = 0; i < rules.size(); ++i) {
      if (!is_of(rules[i], Metric::Source::kThread)) continue;
      observe(i, subject, name, alerts::figure(*rules[i].metric, thread, sample.sched.seconds));
    }
  }
  if (!sample.epoll) return all;
  const double seconds = static_cast<double>(sample.epoll->duration_ns) / 1e9;
  for (const auto& worker : sample.epoll->workers) {
    const std::string subject = subject_of(worker);
    const std::string name =
        fmt::format("{} epfd {}", thread_name(sample.sched, worker.key.tid), worker.key.epfd);
    // No wait has returned, which is no news of how long waits take, and not good news.
    const bool known = !is_stalled(worker, sample);
    for (size_t i = 0; i < rules.size(); ++i) {
      if (!is_of_workers(rules[i])) continue;
      const bool judged = known || is_of(rules[i], Metric::Source::kCounter);
      observe(i, subject, name,
              alerts::figure(*rules[i].metric, rules[i].statistic, worker, seconds), judged);
    }
  }
  for (const model::LoopStall& loop : sample.stalls) {
    const std::string subject = fmt::format("epfd {}", loop.epfd);
    const std::string name = name_of(loop, sample);
    for (size_t i = 0; i < rules.size(); ++i) {
      if (is_of(rules[i], Metric::Source::kLoop)) observe(i, subject, name, {loop.seconds, 1});
    }
  }
  return all;
}

alerts::Texts subject_labels(const TargetSample& sample, const std::string& subject) {
  alerts::Texts labels;
  unsigned tid = 0;
  int epfd = -1;
  if (std::sscanf(subject.c_str(), "epfd %d", &epfd) == 1) {
    labels["epfd"] = std::to_string(epfd);
    return labels;
  }
  const int read = std::sscanf(subject.c_str(), "thread %u epfd %d", &tid, &epfd);
  if (read < 1) return labels;
  labels["tid"] = std::to_string(tid);
  if (read == 2) labels["epfd"] = std::to_string(epfd);
  for (const auto& thread : sample.sched.threads) {
    if (thread.tid == static_cast<pid_t>(tid)) labels["thread"] = thread.name;
  }
  return labels;
}

std::string gone_text(const TargetSample& sample, const std::string& subject) {
  const alerts::Texts labels = subject_labels(sample, subject);
  if (labels.contains("tid") && !labels.contains("thread")) {
    return fmt::format("thread {} has ended", labels.at("tid"));
  }
  if (labels.contains("epfd")) {
    return fmt::format("its epoll descriptor {} was closed", labels.at("epfd"));
  }
  return "it serves no epoll instance any more";
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
