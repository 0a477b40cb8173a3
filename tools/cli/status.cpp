#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "agent/control/protocol.hpp"
#include "agent/model/text.hpp"
#include "tools/cli/daemon_commands.hpp"

namespace epulse::cli {
namespace {

using nlohmann::json;

void print_line(const char* title, const std::string& text) {
  if (!text.empty()) fmt::print("  {:<13} {}\n", title, text);
}

std::string alertmanager_text(const json& sinks) {
  const auto at = sinks.find("alertmanager");
  if (at == sinks.end()) return {};
  const std::string error = text_at(*at, "error");
  const int refused = at->value("refused", 0);
  return fmt::format("{}: {} posts taken, {} alarms unsaid, {} lost{}{}", text_at(*at, "url"),
                     at->value("posts", 0), at->value("unsaid", 0), at->value("lost", 0),
                     refused == 0 ? "" : fmt::format(", {} refused", refused),
                     error.empty() ? "" : "; " + error);
}

std::string exec_text(const json& sinks) {
  const auto at = sinks.find("exec");
  if (at == sinks.end()) return {};
  return fmt::format("{}: {} runs, {} failed, {} dropped", text_at(*at, "command"),
                     at->value("runs", 0), at->value("failures", 0), at->value("dropped", 0));
}

// "critical, since 2026-...: ALERT ...; now 640 us, worst 900 us"
std::string alarm_text(const json& alarm) {
  const json annotations = alarm.value("annotations", json::object());
  const std::string unit = text_at(annotations, "unit");
  const auto figure = [&](const char* name) {
    return fmt::format("{:.6g}{}{}", alarm.value(name, 0.0), unit.empty() ? "" : " ", unit);
  };
  return fmt::format("{}, since {}: {}; now {}, worst {}", text_at(alarm, "severity"),
                     text_at(alarm, "since"), text_at(annotations, "summary"), figure("value"),
                     figure("worst"));
}

void print_status(const json& status) {
  const json none = json::array();
  const json& alarms = status.contains("alarms") ? status["alarms"] : none;
  const int changes = status.value("changes", 0);
  const int advice = status.value("advice", 0);
  fmt::print("epulsed[{}] watches {}, {} backend, mode {}, for {:.0f} s\n", status.value("pid", 0),
             text_at(status, "target"), text_at(status, "backend"), text_at(status, "mode"),
             status.value("running_s", 0.0));
  const std::string mode_why = text_at(status, "mode_why");
  print_line("mode", mode_why.empty() ? "" : text_at(status, "mode") + ", " + mode_why);
  const std::string journal_error = text_at(status, "journal_error");
  print_line("journal", journal_error.empty() ? "" : "nothing can be changed: " + journal_error);
  const std::string config_error = text_at(status, "config_error");
  print_line("config", config_error.empty() ? "" : "as it was before SIGHUP: " + config_error);
  print_line("backend", text_at(status, "backend_why"));
  print_line("probes", text_at(status, "probes_cost"));
  print_line("alarms", alarms.empty() ? "none" : fmt::format("{} firing", alarms.size()));
  for (const json& alarm : alarms) {
    print_line("", alarm_text(alarm));
  }
  const json sinks = status.value("sinks", json::object());
  print_line("alertmanager", alertmanager_text(sinks));
  print_line("exec", exec_text(sinks));
  print_line("changes", changes == 0 ? "none"
                                     : fmt::format("{} in force{} (epulse diff)", changes,
                                                   status.value("verifying", false)
                                                       ? ", the last one being verified"
                                                       : ""));
  print_line("advice", advice == 0 ? "none" : fmt::format("{} (epulse advise)", advice));
  for (const json& why : status.value("why_no_advice", none)) {
    if (advice == 0 && why.is_string()) print_line("", model::printable(why.get<std::string>()));
  }
}

}  // namespace

int run_status(const DaemonOptions& options) {
  tell_set_aside(options.state_dir);
  bool fires = false;
  const DaemonAnswers daemons =
      ask_running_daemons(options.state_dir, control::Request{"status"}.to_line());
  for (const json& status : daemons.answers) {
    fires = fires || !status.value("alarms", json::array()).empty();
    if (options.json) {
      print_json("status", status);
    } else {
      print_status(status);
    }
  }
  return tell_errors(daemons, fires ? 1 : 0);
}

}  // namespace epulse::cli
