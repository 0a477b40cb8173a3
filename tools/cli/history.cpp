#include "agent/control/history.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "agent/control/protocol.hpp"
#include "agent/error.hpp"
#include "tools/cli/daemon_commands.hpp"

namespace epulse::cli {
namespace {

using nlohmann::json;

// From the file, which needs no epulsed; who may not read it asks one.
json events(const DaemonOptions& options) {
  try {
    return control::history_json(control::History::read(options.state_dir, options.events));
  } catch (const Error&) {
    const DaemonAnswers daemons =
        ask_daemons(options.state_dir, control::Request{"history"}.to_line());
    if (daemons.answers.empty()) throw;
    json all = daemons.answers[0].value("history", json::array());
    if (all.size() > options.events)
      all.erase(all.begin(), all.end() - static_cast<long>(options.events));
    return all;
  }
}

}  // namespace

int run_history(const DaemonOptions& options) {
  const json all = events(options);
  if (options.json) {
    for (const json& event : all) print_json("event", event);
    return 0;
  }
  if (all.empty()) fmt::print("nothing has happened that {} tells of\n", options.state_dir);
  for (const json& event : all) {
    const std::string by_hand = text_at(event, "by_hand");
    fmt::print("{}  {:<8} {}{}\n", text_at(event, "at"), text_at(event, "kind"),
               text_at(event, "text"), by_hand.empty() ? "" : "; by hand: " + by_hand);
  }
  return 0;
}

}  // namespace epulse::cli
