#pragma once

#include <uv.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/alerts/alarm.hpp"
#include "agent/alerts/alerts.hpp"
#include "agent/config/config.hpp"
#include "agent/daemon/flight_recorder.hpp"
#include "agent/daemon/observations.hpp"
#include "agent/daemon/tuning_log.hpp"
#include "agent/notify/alertmanager.hpp"
#include "agent/notify/exec_hook.hpp"

namespace epulse::daemon {

// From samples to alarms, and to everyone who is to be told: the log, a program, an Alertmanager.
class Alarms {
 public:
  struct Target {
    pid_t pid = 0;
    std::string name;
    std::string backend;
    bool has_bpf = false;
  };

  Alarms(const config::Config& config, const Target& target, uv_loop_t& loop, TuningLog& log);

  // Once per interval.
  void interval(const TargetSample& sample);

  // In place of `before`, which had another configuration: what fires by a rule that is the same in
  // both goes on, what fires by another is resolved. Sinks and recordings that are configured as
  // they were go on too, with all that they have not told yet; who is told by another way than
  // before hears of it anew.
  void take_over(Alarms& before);

  // Nothing is measured any more, for `why`: resolves what fires, and waits, for a bounded time,
  // until everyone has been told.
  void end(const std::string& why);

  // What fires, oldest first.
  std::vector<alerts::Alarm> firing() const;
  const notify::AlertmanagerSink* alertmanager() const { return alertmanager_.get(); }
  const notify::ExecHook* exec() const { return exec_.get(); }

 private:
  using Key = std::pair<size_t, std::string>;  // rule, subject

  void tell(const std::vector<alerts::AlertEvent>& events, const TargetSample& sample);
  void refresh();
  alerts::Alarm fired(const alerts::AlertEvent& event, const TargetSample& sample);
  // Why an alarm of a rule of before the reload is resolved.
  std::string reload_text(const alerts::AlertRule& theirs) const;
  void pass_on(const alerts::Alarm& alarm);

  config::Alerts config_;
  uint64_t interval_ms_;
  Target target_;
  TuningLog& log_;
  std::string host_;
  std::vector<MetricRule> rules_;
  alerts::AlertEngine engine_;
  std::map<Key, alerts::Alarm> firing_;
  uint64_t last_id_ = 0;
  std::unique_ptr<FlightRecorder> recorder_;
  std::unique_ptr<notify::ExecHook> exec_;
  std::unique_ptr<notify::AlertmanagerSink> alertmanager_;
};

}  // namespace epulse::daemon
