#include "agent/config/keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

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

template <auto section, auto member>
auto& field(Config& c) {
  return c.*section.*member;
}

std::vector<Key> make_keys() {
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
      {"alerts", "for_intervals", "Consecutive intervals above the limit before an alert fires.",
       IntegerKey{field<&Config::alerts, &Alerts::for_intervals>, 1, 1000}},
      {"alerts", "clear_intervals",
       "Consecutive intervals at or below the limit before it is resolved.",
       IntegerKey{field<&Config::alerts, &Alerts::clear_intervals>, 1, 1000}},
      {"alerts", "min_samples",
       "A quantile of fewer samples than this in an interval does not count as above the limit.",
       IntegerKey{field<&Config::alerts, &Alerts::min_samples>, 1, 1000000}},

      {"tuner.affinity", "enabled",
       "Move a worker thread that is confined to a CPU which other programs keep busy.",
       FlagKey{field<&Config::affinity, &AffinityTuner::enabled>}},
      {"tuner.affinity", "wakeup_p99_us",
       "Act when the wake-up delay of a worker is above this at p99 (without BPF: when its mean\n"
       "delay per time slice is above a fifth of this).",
       IntegerKey{field<&Config::affinity, &AffinityTuner::wakeup_p99_us>, 10, 60000000}},
      {"tuner.affinity", "delay_share_min",
       "... and, without BPF, it is runnable but kept waiting for this share of the time.",
       ShareKey{field<&Config::affinity, &AffinityTuner::delay_share_min>, 0, 1}},
      {"tuner.affinity", "foreign_busy_min",
       "... and other programs use this share of the CPUs it is confined to.",
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
       "A buffer is under pressure when filled to this share twice in a row.",
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
  };
}

std::string quoted_list(const std::vector<std::string_view>& names) {
  std::string text;
  for (const std::string_view name : names) {
    text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", name);
  }
  return text;
}

}  // namespace

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
                        [](const PathKey&) { return std::string("an absolute path, \"/...\""); },
                    },
                    key.type);
}

std::string default_text(const Key& key) {
  Config c;
  return std::visit(
      Overloaded{
          [&](const IntegerKey& k) { return fmt::format("{}", k.field(c)); },
          [&](const ShareKey& k) { return fmt::format("{}", k.field(c)); },
          [&](const FlagKey& k) { return fmt::format("{}", k.field(c)); },
          [&](const ChoiceKey& k) { return fmt::format("\"{}\"", k.choices.at(k.get(c))); },
          [&](const PathKey& k) { return fmt::format("\"{}\"", k.field(c)); },
      },
      key.type);
}

}  // namespace epulse::config
