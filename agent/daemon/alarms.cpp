#include "agent/daemon/alarms.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/utsname.h>

#include <algorithm>
#include <chrono>

namespace epulse::daemon {
namespace {

int64_t unix_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string host_name() {
  utsname names{};
  uname(&names);
  return names.nodename;
}

std::vector<alerts::AlertRule> plain(const std::vector<MetricRule>& rules) {
  std::vector<alerts::AlertRule> all;
  all.reserve(rules.size());
  for (const MetricRule& one : rules) all.push_back(one.rule);
  return all;
}

std::string base_url(const config::Alertmanager& config) {
  constexpr std::string_view kPath = "/api/v2/alerts";
  std::string url = config.url;
  while (url.ends_with('/')) url.pop_back();
  if (url.ends_with(kPath)) url.resize(url.size() - kPath.size());  // as some documents give it
  return url;
}

notify::AlertmanagerOptions options_of(const config::Alertmanager& config) {
  return {.url = base_url(config),
          .generator_url = config.generator_url,
          .timeout_s = static_cast<double>(config.timeout_s),
          .limits = {.alarms_max = config.alarms_max, .resend_ms = config.resend_s * 1000}};
}

}  // namespace

Alarms::Alarms(const config::Config& config, const Target& target, uv_loop_t& loop, TuningLog& log)
    : config_(config.alerts),
      interval_ms_(config.agent.interval_ms),
      target_(target),
      log_(log),
      host_(host_name()),
      rules_(metric_rules(config.alerts, config.agent.interval_ms, target.has_bpf)),
      engine_(plain(rules_)) {
  for (const MetricRule& one : rules_) {
    const bool is_measured =
        target.has_bpf || one.metric->source == alerts::Metric::Source::kThread;
    if (!is_measured) spdlog::warn("{} cannot fire: {} needs BPF", one.rule.name, one.rule.metric);
  }
  const config::Alerts& alerts = config.alerts;
  if (!alerts.capture.dir.empty()) {
    recorder_ = std::make_unique<FlightRecorder>(
        alerts.capture, config.agent.interval_ms, target.name,
        record::Meta{{"target", fmt::format("{}[{}]", target.name, target.pid)},
                     {"host", host_},
                     {"backend", target.backend}});
  }
  if (!alerts.exec.command.empty()) {
    exec_ = std::make_unique<notify::ExecHook>(
        loop, notify::ExecHookOptions{alerts.exec.command, alerts.exec.timeout_s * 1000});
  }
  if (!alerts.alertmanager.url.empty()) {
    alertmanager_ = std::make_unique<notify::AlertmanagerSink>(options_of(alerts.alertmanager));
  }
}

void Alarms::interval(const TargetSample& sample) {
  if (recorder_) recorder_->keep(sample);
  const auto gone = [&](size_t, const std::string& subject) { return gone_text(sample, subject); };
  tell(engine_.interval(observations(rules_, sample), unjudged_rules(rules_, sample), gone),
       sample);
  refresh();
}

void Alarms::take_over(Alarms& before) {
  const auto theirs = plain(metric_rules(before.config_, interval_ms_, target_.has_bpf));
  const auto taken = engine_.take_over(
      before.engine_, theirs,
      static_cast<double>(before.interval_ms_) / static_cast<double>(interval_ms_));
  last_id_ = before.last_id_;
  const bool same_program = config_.exec.command == before.config_.exec.command;
  const bool same_sink = config_.alertmanager == before.config_.alertmanager;
  const bool same_receiver =
      base_url(config_.alertmanager) == base_url(before.config_.alertmanager);
  std::erase_if(before.firing_, [&](const auto& entry) {
    const auto& [key, alarm] = entry;
    const auto rule = taken.find(key.first);
    if (rule == taken.end()) return false;
    firing_[{rule->second, key.second}] = alarm;
    if (!same_program && exec_) exec_->run(alarm);
    // A sink of its own repeats what fires: it has to know, whoever receives it.
    if (!same_sink && alertmanager_) alertmanager_->put(alarm);
    if (!same_receiver && before.alertmanager_) {
      alerts::Alarm ended = alarm;
      ended.ends_unix_ms = std::max(unix_ms(), alarm.starts_unix_ms);
      ended.annotations["resolution"] = ended.annotations["reason"] =
          "epulsed tells another receiver from now on";
      before.alertmanager_->put(ended);
    }
    return true;
  });
  before.tell(before.engine_.end([&](size_t rule, const std::string&) {
    return reload_text(before.rules_.at(rule).rule);
  }),
              {});
  if (!same_sink && same_receiver && alertmanager_ && before.alertmanager_) {
    for (const alerts::Alarm& alarm : before.alertmanager_->take_unsaid()) {
      if (!alarm.fires()) alertmanager_->put(alarm);  // what fires was put above
    }
  }
  if (same_program && before.exec_) {
    exec_ = std::move(before.exec_);
    exec_->set_timeout(config_.exec.timeout_s * 1000);
  }
  if (same_sink) alertmanager_ = std::move(before.alertmanager_);
  if (config_.capture == before.config_.capture && interval_ms_ == before.interval_ms_) {
    recorder_ = std::move(before.recorder_);
  }
}

std::string Alarms::reload_text(const alerts::AlertRule& theirs) const {
  const bool is_there = std::any_of(rules_.begin(), rules_.end(), [&](const MetricRule& ours) {
    return ours.rule.name == theirs.name;
  });
  return is_there ? "its rule was changed in the configuration"
                  : "its rule was removed from the configuration";
}

void Alarms::end(const std::string& why) {
  tell(engine_.end([&](size_t, const std::string&) { return why; }), {});
  if (recorder_) recorder_->finish();
  if (exec_) exec_->finish();
  alertmanager_.reset();
}

void Alarms::tell(const std::vector<alerts::AlertEvent>& events, const TargetSample& sample) {
  for (const alerts::AlertEvent& event : events) {
    const Key key{event.rule, event.subject};
    log_.alarm(event.text, event.kind == alerts::AlertEvent::Kind::kFired);
    if (event.kind == alerts::AlertEvent::Kind::kFired) {
      pass_on(firing_[key] = fired(event, sample));
      continue;
    }
    alerts::Alarm alarm = firing_.at(key);
    firing_.erase(key);
    // A clock that was set back must not make it end before it began.
    alarm.ends_unix_ms = std::max(unix_ms(), alarm.starts_unix_ms);
    alarm.reading.value = event.value;
    alarm.annotations["resolution"] = event.text;
    alarm.annotations["reason"] = event.why;
    pass_on(alarm);
  }
}

void Alarms::refresh() {
  std::map<uint64_t, alerts::Reading> readings;
  for (auto& [key, alarm] : firing_) {
    alarm.reading = engine_.reading(key.first, key.second);
    if (alertmanager_) readings[alarm.id] = alarm.reading;
  }
  if (alertmanager_) alertmanager_->refresh(readings);
}

alerts::Alarm Alarms::fired(const alerts::AlertEvent& event, const TargetSample& sample) {
  const alerts::AlertRule& rule = rules_.at(event.rule).rule;
  alerts::Alarm alarm;
  alarm.id = ++last_id_;
  alarm.starts_unix_ms = unix_ms();
  alarm.labels = rule.labels;
  alarm.labels.merge(subject_labels(sample, event.subject));
  alarm.labels["alertname"] = rule.alert_name;
  alarm.labels["severity"] = rule.severity;
  alarm.labels["host"] = host_;
  alarm.labels["process"] = target_.name;
  alarm.labels["pid"] = std::to_string(target_.pid);
  alarm.annotations["summary"] = event.text;
  alarm.annotations["subject"] = event.name;
  if (!rule.unit.empty()) alarm.annotations["unit"] = rule.unit;
  alarm.reading = engine_.reading(event.rule, event.subject);
  alarm.annotations["threshold"] = fmt::format("{:.6g}", rule.threshold);
  if (recorder_) {
    const std::string path = recorder_->capture(event.text);
    if (!path.empty()) alarm.annotations["recording"] = path;
  }
  return alarm;
}

void Alarms::pass_on(const alerts::Alarm& alarm) {
  if (exec_) exec_->run(alarm);
  if (alertmanager_) alertmanager_->put(alarm);
}

std::vector<alerts::Alarm> Alarms::firing() const {
  std::vector<alerts::Alarm> all;
  for (const auto& [key, alarm] : firing_) all.push_back(alarm);
  std::sort(all.begin(), all.end(),
            [](const alerts::Alarm& a, const alerts::Alarm& b) { return a.id < b.id; });
  return all;
}

}  // namespace epulse::daemon
