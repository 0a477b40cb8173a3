#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// epulsed's configuration. What each key means and allows is in keys.cpp, the one table that
// loading, the errors and `epulsed --print-config` are made from.
namespace epulse::config {

enum class Mode {
  kAuto,     // apply for the bundled server, advise for any other
  kObserve,  // measure only
  kAdvise,   // say what would be changed, and why
  kApply,
};

// As the configuration has it: "apply".
const char* name_of(Mode mode);

struct Agent {
  uint64_t interval_ms = 1000;
  Mode mode = Mode::kAuto;
  std::string state_dir = "/run/epulse";
  std::string log_level = "info";
  std::string group;  // may use the status socket; empty: root and our own user alone

  bool operator==(const Agent&) const = default;
};

struct Probes {
  uint64_t exception_depth = 500;
  uint64_t exception_wakeup_us = 10000;
  uint64_t sample_every = 0;      // 0: none
  double overhead_budget = 0.01;  // share of one CPU; 0: no limit

  bool operator==(const Probes&) const = default;
};

// The rules that are always there, as receivers know them.
inline constexpr std::string_view kDepthRule = "EpulseReadyQueueDeep";
inline constexpr std::string_view kWakeupRule = "EpulseWakeupLate";
inline constexpr std::string_view kStalledRule = "EpulseLoopStalled";

// One table of [[alerts.rule]].
struct AlertRule {
  std::string name;
  std::string metric;  // one of alerts::metric_names()
  std::string statistic = "p99";
  std::string comparison = "above";
  double threshold = 0;
  double hysteresis = 0;  // share of the threshold
  uint64_t for_s = 0;     // 0: one interval
  uint64_t clear_s = 10;
  uint64_t min_samples = 20;
  std::string severity = "warning";
  std::map<std::string, std::string> labels;

  bool operator==(const AlertRule&) const = default;
};

// [alerts.exec]: a program run for every alarm.
struct ExecHook {
  std::vector<std::string> command;  // empty: none
  uint64_t timeout_s = 10;

  bool operator==(const ExecHook&) const = default;
};

// [alerts.alertmanager]
struct Alertmanager {
  std::string url;  // empty: none
  uint64_t resend_s = 60;
  uint64_t timeout_s = 5;
  uint64_t alarms_max = 1024;
  std::string generator_url;

  bool operator==(const Alertmanager&) const = default;
};

// [alerts.capture]: a recording of the time around an alarm.
struct Capture {
  std::string dir;  // empty: none
  uint64_t before_s = 10;
  uint64_t after_s = 10;
  uint64_t files_max = 20;

  bool operator==(const Capture&) const = default;
};

struct Alerts {
  uint64_t depth_max = 500;
  uint64_t wakeup_p99_us = 100;
  uint64_t stalled_s = 5;
  uint64_t for_intervals = 2;
  uint64_t clear_intervals = 3;
  uint64_t min_samples = 20;
  std::vector<AlertRule> rules;  // beside the three built-in ones above
  ExecHook exec;
  Alertmanager alertmanager;
  Capture capture;

  bool operator==(const Alerts&) const = default;
};

struct AffinityTuner {
  bool enabled = true;
  uint64_t wakeup_p99_us = 1000;
  double delay_share_min = 0.05;
  double foreign_busy_min = 0.3;
  uint64_t cooldown_s = 5;
  uint64_t verify_s = 3;
  double improvement_min = 0.2;

  bool operator==(const AffinityTuner&) const = default;
};

struct SocketBufferTuner {
  bool enabled = false;
  double pressure_share = 0.75;
  uint64_t floor_bytes = 16384;
  uint64_t rcvbuf_max_bytes = 4194304;
  uint64_t sndbuf_max_bytes = 4194304;
  uint64_t sockets_max = 1024;
  uint64_t interval_s = 5;
  uint64_t cooldown_s = 30;
  uint64_t verify_s = 5;
  double improvement_min = 0.1;

  bool operator==(const SocketBufferTuner&) const = default;
};

struct ServerBufferTuner {
  bool enabled = true;
  double saturated_share = 0.2;
  uint64_t batch_max = 4096;
  uint64_t cooldown_s = 30;
  uint64_t verify_s = 5;
  double improvement_min = 0.1;

  bool operator==(const ServerBufferTuner&) const = default;
};

// What is never changed, only told.
struct HostAdvice {
  bool enabled = true;

  bool operator==(const HostAdvice&) const = default;
};

struct Config {
  Agent agent;
  Probes probes;
  Alerts alerts;
  AffinityTuner affinity;            // [tuner.affinity]
  SocketBufferTuner socket_buffers;  // [tuner.socket_buffers]
  ServerBufferTuner server_buffers;  // [tuner.server_buffers]
  HostAdvice host_advice;            // [tuner.host_advice]

  bool operator==(const Config&) const = default;
};

// Throws epulse::Error, one line that starts with FILE:LINE where there is one.
Config load(const std::string& path);

// `source` names the text in errors.
Config parse(const std::string& text, const std::string& source);

// A commented file with every key at its default; load() of it gives Config{}.
std::string example();

}  // namespace epulse::config
