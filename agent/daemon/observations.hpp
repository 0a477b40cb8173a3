#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent/alerts/alarm.hpp"
#include "agent/alerts/alerts.hpp"
#include "agent/alerts/metrics.hpp"
#include "agent/config/config.hpp"
#include "agent/daemon/target_sampler.hpp"

// From samples to what the alert rules look at, and to log lines. Pure.
namespace epulse::daemon {

struct MetricRule {
  alerts::AlertRule rule;
  const alerts::Metric* metric = nullptr;
  alerts::Statistic statistic = alerts::Statistic::kP99;
};

// The built-in rules, then those of [[alerts.rule]]. Without BPF the built-in one for late wake-ups
// looks at a mean, the only figure there is, and says so.
std::vector<MetricRule> metric_rules(const config::Alerts& config, uint64_t interval_ms,
                                     bool with_bpf);

// Places in `rules` of those whose metric was not measured: waits were only counted, to keep to the
// overhead's budget.
std::set<size_t> unjudged_rules(const std::vector<MetricRule>& rules, const TargetSample& sample);

// A rule is named by its place in `rules`. One whose metric was not measured has none.
std::vector<alerts::Observation> observations(const std::vector<MetricRule>& rules,
                                              const TargetSample& sample);

// What an observation's subject is, in labels: thread, tid and epfd where there is one.
alerts::Texts subject_labels(const TargetSample& sample, const std::string& subject);

// Why `subject` is not among the observations of `sample` any more: "thread 4711 has ended".
std::string gone_text(const TargetSample& sample, const std::string& subject);

// "214 late wake-ups, worst 12.1ms: ws-worker-1[4711] on CPU 1"; empty when there were none. Names
// come from `sched`.
std::string exceptions_text(const std::vector<epoll_wait_record>& exceptions,
                            const model::SchedInterval& sched);

}  // namespace epulse::daemon
