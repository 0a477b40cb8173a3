#include "agent/control/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/control/protocol.hpp"
#include "agent/error.hpp"
#include "tools/cli/daemon_commands.hpp"

namespace epulse::cli {
namespace {

using nlohmann::json;

void append(json& all, const json& more) {
  all.insert(all.end(), more.begin(), more.end());
}

// From the files, which need no epulsed; who may not read them asks those that run.
json all_events(const DaemonOptions& options) {
  json all = json::array();
  try {
    for (const std::string& dir : state_dirs(options.state_dir)) {
      append(all, control::history_json(control::History::read(dir, options.events)));
    }
  } catch (const Error& error) {
    const DaemonAnswers daemons =
        ask_daemons(options.state_dir, control::Request{"history"}.to_line());
    if (daemons.answers.empty()) {
      fail("{}; be root, or a member of agent.group while epulsed runs", error.what());
    }
    all = json::array();
    for (const json& answer : daemons.answers) append(all, answer.value("history", json::array()));
  }
  return all;
}

// The last ones, whichever epulsed they are of; RFC 3339 sorts as text.
json events(const DaemonOptions& options) {
  json all = all_events(options);
  std::stable_sort(all.begin(), all.end(), [](const json& a, const json& b) {
    return text_at(a, "at") < text_at(b, "at");
  });
  if (all.size() > options.events) {
    all.erase(all.begin(), all.end() - static_cast<long>(options.events));
  }
  return all;
}

}  // namespace

int run_history(const DaemonOptions& options) {
  check_state_dir(options);
  const json all = events(options);
  if (options.json) {
    for (const json& event : all) print_json("event", event);
    return 0;
  }
  if (all.empty()) fmt::print("nothing has happened that {} tells of\n", options.state_dir);
  for (const json& event : all) {
    const std::string target = text_at(event, "target"), by_hand = text_at(event, "by_hand");
    fmt::print("{}  {:<8} {}{}{}\n", text_at(event, "at"), text_at(event, "kind"),
               target.empty() ? "" : target + ": ", text_at(event, "text"),
               by_hand.empty() ? "" : "; by hand: " + by_hand);
  }
  return 0;
}

}  // namespace epulse::cli
