#include "agent/config/keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/alerts/metrics.hpp"
#include "agent/config/url.hpp"

namespace epulse::config {
namespace {

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

constexpr std::array<std::string_view, 4> kModes = {"auto", "observe", "advise", "apply"};
constexpr std::array<std::string_view, 7> kLogLevels = {"trace", "debug",    "info", "warning",
                                                        "error", "critical", "off"};

template <size_t n>
std::vector<std::string_view> choices(const std::array<std::string_view, n>& names) {
  return {names.begin(), names.end()};
}

size_t log_level_index(const Config& c) {
  const auto* const at = std::find(kLogLevels.begin(), kLogLevels.end(), c.agent.log_level);
  return static_cast<size_t>(at - kLogLevels.begin());
}

constexpr std::array<std::string_view, 2> kComparisons = {"above", "below"};
constexpr std::array<std::string_view, 3> kSeverities = {"info", "warning", "critical"};

// A key whose field holds the name itself.
size_t index_of(const std::vector<std::string_view>& names, std::string_view name) {
  const auto at = std::find(names.begin(), names.end(), name);
  return at == names.end() ? 0 : static_cast<size_t>(at - names.begin());
}

bool is_any_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

bool is_rule_name(std::string_view text) {
  return !text.empty() && is_any_line(text);
}

constexpr std::string_view kUrls =
    "empty, or http://HOST or https://HOST, with or without :PORT and /PATH";

bool is_url_or_empty(std::string_view text) {
  return text.empty() || is_http_url(text);
}

constexpr std::string_view kBaseUrls =
    "empty, or http://HOST or https://HOST, with or without :PORT and /PATH, but without "
    "/api/v2/alerts, which is put behind it";

bool is_base_url_or_empty(std::string_view text) {
  return is_url_or_empty(text) && text.find_first_of("?#") == text.npos &&
         text.find("/api/v2/alerts") == text.npos;
}

template <auto member>
auto& rule_field(Config& c) {
  return c.alerts.rules.back().*member;
}

template <auto section, auto member>
auto& alerts_field(Config& c) {
  return c.alerts.*section.*member;
}

std::vector<std::string_view> statistics() {
  const auto names = alerts::statistic_names();
  return {names.begin(), names.end()};
}

std::vector<Key> rule_keys() {
  return {
      {kRuleTable, "name",
       "What the alarm is called. It must be given, as must be the metric and "
       "the threshold.",
       TextKey{rule_field<&AlertRule::name>, "a text that is not empty", is_rule_name}},
      {kRuleTable, "metric",
       "What is looked at: times in us, queues and batches in items, counters per second, shares\n"
       "as 0 to 1. run_queue_delay, delay_share and run_share are of every worker thread and need\n"
       "no BPF; stalled is of every epoll instance, the others are of every worker on one.",
       ChoiceKey{alerts::metric_names(),
                 [](const Config& c) {
                   return index_of(alerts::metric_names(), c.alerts.rules.back().metric);
                 },
                 [](Config& c, size_t choice) {
                   c.alerts.rules.back().metric = alerts::metric_names().at(choice);
                 }}},
      {kRuleTable, "statistic",
       "... and which figure of it, per interval: counters have rate, those that need no BPF mean.",
       ChoiceKey{
           statistics(),
           [](const Config& c) { return index_of(statistics(), c.alerts.rules.back().statistic); },
           [](Config& c, size_t choice) {
             c.alerts.rules.back().statistic = statistics().at(choice);
           }}},
      {kRuleTable, "comparison", "Which side of the threshold is the wrong one.",
       ChoiceKey{choices(kComparisons),
                 [](const Config& c) {
                   return index_of(choices(kComparisons), c.alerts.rules.back().comparison);
                 },
                 [](Config& c, size_t choice) {
                   c.alerts.rules.back().comparison = kComparisons.at(choice);
                 }}},
      {kRuleTable, "threshold",
       "Beyond it is too much; the threshold itself is well. Of shares 0 to 1.",
       NumberKey{rule_field<&AlertRule::threshold>, 0, 1e15}},
      {kRuleTable, "hysteresis",
       "A value must be back by this share of the threshold before it counts as well.",
       ShareKey{rule_field<&AlertRule::hysteresis>, 0, 0.99}},
      {kRuleTable, "for_s", "How long it must be beyond the threshold; 0: in one interval.",
       IntegerKey{rule_field<&AlertRule::for_s>, 0, 86400}},
      {kRuleTable, "clear_s", "How long it must be well before the alarm is resolved.",
       IntegerKey{rule_field<&AlertRule::clear_s>, 0, 86400}},
      {kRuleTable, "min_samples",
       "A quantile or mean of fewer samples than this in an interval does not count.",
       IntegerKey{rule_field<&AlertRule::min_samples>, 1, 1000000}},
      {kRuleTable, "severity", "A label of the alarm.",
       ChoiceKey{choices(kSeverities),
                 [](const Config& c) {
                   return index_of(choices(kSeverities), c.alerts.rules.back().severity);
                 },
                 [](Config& c, size_t choice) {
                   c.alerts.rules.back().severity = kSeverities.at(choice);
                 }}},
      {kRuleTable, "labels", "More labels, for the receivers to route by.",
       LabelsKey{rule_field<&AlertRule::labels>}},
  };
}

std::vector<Key> sink_keys() {
  return {
      {"alerts.exec", "command",
       "A program that is run when an alarm fires and when it is resolved, never by a shell. Its\n"
       "environment says what: EPULSE_STATE (firing, resolved), EPULSE_LABEL_ALERTNAME,\n"
       "EPULSE_LABEL_SEVERITY and other labels, EPULSE_SUMMARY, EPULSE_REASON (why it is "
       "resolved), "
       "...\nEmpty: none.",
       CommandKey{alerts_field<&Alerts::exec, &ExecHook::command>}},
      {"alerts.exec", "timeout_s", "It is ended when it takes longer.",
       IntegerKey{alerts_field<&Alerts::exec, &ExecHook::timeout_s>, 1, 3600}},
      {"alerts.alertmanager", "url",
       "Where alarms are posted, without /api/v2/alerts: \"http://127.0.0.1:9093\". Empty: "
       "nowhere.",
       TextKey{alerts_field<&Alerts::alertmanager, &Alertmanager::url>, kBaseUrls,
               is_base_url_or_empty}},
      {"alerts.alertmanager", "resend_s",
       "How often what still fires is posted again, with its latest figures. Four times as long\n"
       "after the last post it ends by itself, should epulsed have died.",
       IntegerKey{alerts_field<&Alerts::alertmanager, &Alertmanager::resend_s>, 1, 3600}},
      {"alerts.alertmanager", "timeout_s", "A post that takes longer has failed, and is repeated.",
       IntegerKey{alerts_field<&Alerts::alertmanager, &Alertmanager::timeout_s>, 1, 300}},
      {"alerts.alertmanager", "alarms_max",
       "Alarms kept for a receiver that is down. Beyond that the oldest resolved one is lost.",
       IntegerKey{alerts_field<&Alerts::alertmanager, &Alertmanager::alarms_max>, 16, 100000}},
      {"alerts.alertmanager", "generator_url",
       "The link that an alarm carries to its source, say of a dashboard. Empty: none.",
       TextKey{alerts_field<&Alerts::alertmanager, &Alertmanager::generator_url>, kUrls,
               is_url_or_empty}},
      {"alerts.capture", "dir",
       "Where a recording of the time around each alarm is written; `epulse report` shows it. The\n"
       "directory must be there. Empty: none.",
       TextKey{alerts_field<&Alerts::capture, &Capture::dir>, "empty, or an absolute path",
               [](std::string_view text) {
                 return text.empty() || (text.starts_with('/') && is_any_line(text));
               }}},
      {"alerts.capture", "before_s", "So much of the time before the alarm.",
       IntegerKey{alerts_field<&Alerts::capture, &Capture::before_s>, 1, 300}},
      {"alerts.capture", "after_s", "... and after it.",
       IntegerKey{alerts_field<&Alerts::capture, &Capture::after_s>, 1, 300}},
      {"alerts.capture", "files_max", "When there are more of them, the oldest is removed.",
       IntegerKey{alerts_field<&Alerts::capture, &Capture::files_max>, 1, 10000}},
  };
}

template <auto section, auto member>
auto& field(Config& c) {
  return c.*section.*member;
}

std::vector<Key> fixed_keys() {
  return {
      {"agent", "interval_ms", "How often figures are read, reported and judged.",
       IntegerKey{field<&Config::agent, &Agent::interval_ms>, 100, 60000}},
      {"agent", "mode",
       "What to do about a problem: observe (measure only), advise (say what would be changed and\n"
       "why), apply (change it, verify, undo on exit). auto is apply for the bundled epulse-ws\n"
       "server, advise for any other process.",
       ChoiceKey{choices(kModes), [](const Config& c) { return static_cast<size_t>(c.agent.mode); },
                 [](Config& c, size_t choice) { c.agent.mode = static_cast<Mode>(choice); }}},
      {"agent", "state_dir",
       "Where the journal of changes is kept. It need not survive a reboot: the changes do not.",
       PathKey{field<&Config::agent, &Agent::state_dir>}},
      {"agent", "log_level", "The least severe message that is logged.",
       ChoiceKey{choices(kLogLevels), log_level_index,
                 [](Config& c, size_t choice) { c.agent.log_level = kLogLevels.at(choice); }}},
      {"agent", "group",
       "Members of this group may ask for status, advice and history, and have changes undone, as\n"
       "root may. Empty: nobody else.",
       TextKey{field<&Config::agent, &Agent::group>, "empty, or the name of a group", is_any_line}},

      {"probes", "exception_depth",
       "A wait that finds more than this many items ready is reported by itself.",
       IntegerKey{field<&Config::probes, &Probes::exception_depth>, 1, 1000000}},
      {"probes", "exception_wakeup_us",
       "A wait whose thread ran this long after it was woken is reported by itself.",
       IntegerKey{field<&Config::probes, &Probes::exception_wakeup_us>, 1, 60000000}},
      {"probes", "sample_every", "Report one wait in this many whatever it shows; 0 for none.",
       IntegerKey{field<&Config::probes, &Probes::sample_every>, 0, 1000000000}},
      {"probes", "overhead_budget",
       "What the probes may cost, as a share of one CPU. Where they cost more, queue depth and "
       "the\n"
       "stages are measured in some intervals only, and waits and events counted in all. 0 for no\n"
       "limit.",
       ShareKey{field<&Config::probes, &Probes::overhead_budget>, 0, 1}},

      {"alerts", "depth_max", "Alert when an epoll ready queue gets deeper than this.",
       IntegerKey{field<&Config::alerts, &Alerts::depth_max>, 1, 1000000}},
      {"alerts", "wakeup_p99_us",
       "Alert when 1 % of the wake-ups of a worker take longer than this from woken to running.",
       IntegerKey{field<&Config::alerts, &Alerts::wakeup_p99_us>, 1, 60000000}},
      {"alerts", "stalled_s",
       "Alert when items have been ready on an epoll instance for so long while nobody waits for "
       "them\n"
       "and no wait has returned: the loop is stuck, or stopped.",
       IntegerKey{field<&Config::alerts, &Alerts::stalled_s>, 1, 3600}},
      {"alerts", "for_intervals", "Consecutive intervals above the limit before an alert fires.",
       IntegerKey{field<&Config::alerts, &Alerts::for_intervals>, 1, 1000}},
      {"alerts", "clear_intervals",
       "Consecutive intervals at or below the limit before it is resolved.",
       IntegerKey{field<&Config::alerts, &Alerts::clear_intervals>, 1, 1000}},
      {"alerts", "min_samples",
       "A quantile of fewer samples than this in an interval does not count as above the limit.",
       IntegerKey{field<&Config::alerts, &Alerts::min_samples>, 1, 1000000}},

      {"tuner.affinity", "enabled",
       "Move a worker thread that is confined to a CPU which others keep busy.",
       FlagKey{field<&Config::affinity, &AffinityTuner::enabled>}},
      {"tuner.affinity", "wakeup_p99_us",
       "Act when the wake-up delay of a worker is above this at p99 (without BPF: when its mean\n"
       "delay per time slice is above a fifth of this).",
       IntegerKey{field<&Config::affinity, &AffinityTuner::wakeup_p99_us>, 10, 60000000}},
      {"tuner.affinity", "delay_share_min",
       "... and, without BPF, it is runnable but kept waiting for this share of the time.",
       ShareKey{field<&Config::affinity, &AffinityTuner::delay_share_min>, 0, 1}},
      {"tuner.affinity", "foreign_busy_min",
       "... and others (programs, softirqs, more workers) use this share of its CPUs.",
       ShareKey{field<&Config::affinity, &AffinityTuner::foreign_busy_min>, 0.05, 1}},
      {"tuner.affinity", "cooldown_s",
       "Least time between two changes. It doubles for a thread each time it is moved.",
       IntegerKey{field<&Config::affinity, &AffinityTuner::cooldown_s>, 1, 86400}},
      {"tuner.affinity", "verify_s", "How long a change is watched before it is kept or undone.",
       IntegerKey{field<&Config::affinity, &AffinityTuner::verify_s>, 1, 3600}},
      {"tuner.affinity", "improvement_min",
       "A change is kept only if the delay fell by at least this share.",
       ShareKey{field<&Config::affinity, &AffinityTuner::improvement_min>, 0.01, 0.99}},

      {"tuner.socket_buffers", "enabled",
       "Double the buffer of a TCP connection that keeps running full. While it is in force the\n"
       "kernel does not tune that buffer itself.",
       FlagKey{field<&Config::socket_buffers, &SocketBufferTuner::enabled>}},
      {"tuner.socket_buffers", "pressure_share",
       "A buffer is under pressure when filled to this share three times in a row.",
       ShareKey{field<&Config::socket_buffers, &SocketBufferTuner::pressure_share>, 0.1, 1}},
      {"tuner.socket_buffers", "floor_bytes", "Never set a buffer smaller than this.",
       IntegerKey{field<&Config::socket_buffers, &SocketBufferTuner::floor_bytes>, 8192, 65536}},
      {"tuner.socket_buffers", "rcvbuf_max_bytes", "Never set a receive buffer larger than this.",
       IntegerKey{field<&Config::socket_buffers, &SocketBufferTuner::rcvbuf_max_bytes>, 65536,
                  1073741824}},
      {"tuner.socket_buffers", "sndbuf_max_bytes", "Never set a send buffer larger than this.",
       IntegerKey{field<&Config::socket_buffers, &SocketBufferTuner::sndbuf_max_bytes>, 65536,
                  1073741824}},
      {"tuner.socket_buffers", "sockets_max", "Look at no more than this many connections.",
       IntegerKey{field<&Config::socket_buffers, &SocketBufferTuner::sockets_max>, 1, 1000000}},
      {"tuner.socket_buffers", "interval_s", "How often the connections are looked at.",
       IntegerKey{field<&Config::socket_buffers, &SocketBufferTuner::interval_s>, 1, 3600}},
      {"tuner.socket_buffers", "cooldown_s", "Least time between two changes of one buffer.",
       IntegerKey{field<&Config::socket_buffers, &SocketBufferTuner::cooldown_s>, 1, 86400}},
      {"tuner.socket_buffers", "verify_s",
       "How long buffers are looked at closely before a change, and after it, to keep or undo it.",
       IntegerKey{field<&Config::socket_buffers, &SocketBufferTuner::verify_s>, 1, 3600}},
      {"tuner.socket_buffers", "improvement_min",
       "A change is kept only if the buffers are full in this share fewer of the looks, or as "
       "much\n"
       "more goes through them.",
       ShareKey{field<&Config::socket_buffers, &SocketBufferTuner::improvement_min>, 0.01, 0.99}},

      {"tuner.server_buffers", "enabled",
       "Enlarge the batch of epoll_wait of an epulse-ws that has a --control-socket, where it "
       "keeps\n"
       "running full; of other servers it is advice.",
       FlagKey{field<&Config::server_buffers, &ServerBufferTuner::enabled>}},
      {"tuner.server_buffers", "saturated_share",
       "Act when this share of a worker's batches is full and they leave much behind.",
       ShareKey{field<&Config::server_buffers, &ServerBufferTuner::saturated_share>, 0.01, 1}},
      {"tuner.server_buffers", "batch_max", "Never set a larger batch than this.",
       IntegerKey{field<&Config::server_buffers, &ServerBufferTuner::batch_max>, 2, 65536}},
      {"tuner.server_buffers", "cooldown_s",
       "Least time between two changes. It doubles with each, and once more when one was undone.",
       IntegerKey{field<&Config::server_buffers, &ServerBufferTuner::cooldown_s>, 1, 86400}},
      {"tuner.server_buffers", "verify_s",
       "How long a change is watched before it is kept or undone.",
       IntegerKey{field<&Config::server_buffers, &ServerBufferTuner::verify_s>, 1, 3600}},
      {"tuner.server_buffers", "improvement_min",
       "A change is kept only if ready to delivered fell by this share at p99.",
       ShareKey{field<&Config::server_buffers, &ServerBufferTuner::improvement_min>, 0.01, 0.99}},

      {"tuner.host_advice", "enabled",
       "Say what network settings of the host stand in the way (somaxconn, tcp_rmem, tcp_wmem,\n"
       "congestion control, busy poll). They are never changed. It looks at 64 connections in one\n"
       "interval of ten.",
       FlagKey{field<&Config::host_advice, &HostAdvice::enabled>}},
  };
}

std::vector<Key> make_keys() {
  std::vector<Key> all;
  for (const auto& part : {fixed_keys(), rule_keys(), sink_keys()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

std::string quoted_list(const std::vector<std::string_view>& names) {
  std::string text;
  for (const std::string_view name : names) {
    text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", name);
  }
  return text;
}

}  // namespace

const char* name_of(Mode mode) {
  return kModes.at(static_cast<size_t>(mode)).data();
}

std::span<const Key> keys() {
  static const std::vector<Key> table = make_keys();
  return table;
}

std::string allowed(const Key& key) {
  return std::visit(Overloaded{
                        [](const IntegerKey& k) { return fmt::format("{} to {}", k.min, k.max); },
                        [](const ShareKey& k) { return fmt::format("{} to {}", k.min, k.max); },
                        [](const FlagKey&) { return std::string("true or false"); },
                        [](const ChoiceKey& k) { return quoted_list(k.choices); },
                        [](const NumberKey& k) { return fmt::format("{} to {}", k.min, k.max); },
                        [](const PathKey&) { return std::string("an absolute path, \"/...\""); },
                        [](const TextKey& k) { return std::string(k.allowed); },
                        [](const CommandKey&) {
                          return std::string("[], or [\"/path/of/a/program\", \"argument\", ...]");
                        },
                        [](const LabelsKey&) {
                          return std::string(
                              "{ name = \"text\", ... }, each name [a-zA-Z_][a-zA-Z0-9_]* and "
                              "not __ at its beginning");
                        },
                    },
                    key.type);
}

std::string default_text(const Key& key) {
  Config c;
  c.alerts.rules.emplace_back();  // where the keys of a rule have their fields
  return std::visit(
      Overloaded{
          [&](const IntegerKey& k) { return fmt::format("{}", k.field(c)); },
          [&](const ShareKey& k) { return fmt::format("{}", k.field(c)); },
          [&](const FlagKey& k) { return fmt::format("{}", k.field(c)); },
          [&](const ChoiceKey& k) { return fmt::format("\"{}\"", k.choices.at(k.get(c))); },
          [&](const NumberKey& k) { return fmt::format("{}", k.field(c)); },
          [&](const PathKey& k) { return fmt::format("\"{}\"", k.field(c)); },
          [&](const TextKey& k) { return fmt::format("\"{}\"", k.field(c)); },
          [&](const CommandKey&) { return std::string("[]"); },
          [&](const LabelsKey&) { return std::string("{}"); },
      },
      key.type);
}

}  // namespace epulse::config
