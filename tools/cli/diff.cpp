#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "agent/actuate/actuator.hpp"
#include "agent/actuate/journal.hpp"
#include "agent/control/protocol.hpp"
#include "agent/error.hpp"
#include "common/counted.hpp"
#include "tools/cli/daemon_commands.hpp"

namespace epulse::cli {
namespace {

using nlohmann::json;

// Of an epulsed that died: what its journal holds, and whether that may be all.
json left_behind(const std::string& state_dir, bool& damaged) {
  const actuate::JournalState journal = actuate::Journal::read(state_dir);
  damaged = damaged || journal.has_damage;
  for (const std::string& complaint : journal.complaints) {
    fmt::print(stderr, "epulse: {}\n", complaint);
  }
  return {{"target", fmt::format("no epulsed runs ({})", state_dir)},
          {"changes", control::changes_json(actuate::in_force(journal.pending))}};
}

void print_changes(const json& answer, const json& changes) {
  fmt::print(
      "{}: {}\n", text_at(answer, "target"),
      changes.empty() ? "nothing is changed" : counted(changes.size(), "change") + " in force");
  for (const json& change : changes) {
    fmt::print("  {}  {}\n    because   {}\n    undo      epulse undo, or by hand: {}\n",
               text_at(change, "at"), text_at(change, "change"), text_at(change, "reason"),
               text_at(change, "undo_by_hand"));
  }
}

}  // namespace

int run_diff(const DaemonOptions& options) {
  check_state_dir(options);
  tell_set_aside(options.state_dir);
  DaemonAnswers daemons = ask_daemons(options.state_dir, control::Request{"diff"}.to_line());
  std::vector<json> answers = daemons.answers;
  bool damaged = false;
  for (const std::string& dir : journals_left_behind(options.state_dir, daemons)) {
    try {
      answers.push_back(left_behind(dir, damaged));
    } catch (const Error& error) {
      daemons.errors.emplace_back(error.what());
    }
  }
  if (answers.empty() && daemons.errors.empty())
    answers.push_back(left_behind(options.state_dir, damaged));
  bool any = damaged;
  for (const json& answer : answers) {
    const json changes = answer.value("changes", json::array());
    any = any || !changes.empty();
    if (options.json) {
      print_json("changes", answer);
    } else {
      print_changes(answer, changes);
    }
  }
  return tell_errors(daemons, any ? 1 : 0);
}

}  // namespace epulse::cli
