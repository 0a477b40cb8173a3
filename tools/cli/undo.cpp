#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/actuate/actuator.hpp"
#include "agent/actuate/journal.hpp"
#include "agent/control/protocol.hpp"
#include "tools/cli/daemon_commands.hpp"

namespace epulse::cli {
namespace {

using nlohmann::json;

void print_preview(const json& changes) {
  for (const json& change : changes) {
    fmt::print("would undo {} (by hand: {})\n", text_at(change, "change"),
               text_at(change, "undo_by_hand"));
  }
}

bool has_failed(const json& outcomes) {
  return std::any_of(outcomes.begin(), outcomes.end(),
                     [](const json& outcome) { return text_at(outcome, "result") == "failed"; });
}

int print(const DaemonOptions& options, const json& answer) {
  const json& list = answer.at(options.dry_run ? "changes" : "outcomes");
  if (options.json) {
    print_json(options.dry_run ? "changes" : "outcomes", answer);
  } else if (list.empty()) {
    fmt::print("nothing to undo in {}\n", options.state_dir);
  } else if (options.dry_run) {
    print_preview(list);
  } else {
    for (const json& outcome : list) fmt::print("{}\n", text_at(outcome, "text"));
  }
  return !options.dry_run && has_failed(list) ? 1 : 0;
}

// Those that run: they hold the journal, and must not change the same again.
int undo_by_daemons(const DaemonOptions& options, const std::vector<json>& answers) {
  int status = 0;
  for (const json& answer : answers) {
    status = std::max(status, print(options, answer));
    if (!options.dry_run && !options.json) {
      fmt::print("epulsed goes on in mode {}\n", text_at(answer, "mode"));
    }
  }
  return status;
}

// Of those that died.
int undo_left_behind(const DaemonOptions& options, const std::string& dir) {
  if (options.dry_run) {  // without the lock, and nothing is created
    return print(options,
                 {{"changes",
                   control::changes_json(actuate::in_force(actuate::Journal::read(dir).pending))}});
  }
  actuate::Actuator actuator(dir);
  for (const std::string& complaint : actuator.complaints()) {
    fmt::print(stderr, "epulse: {}\n", complaint);
  }
  return print(options, {{"outcomes", control::outcomes_json(actuator.undo_all())}});
}

}  // namespace

int run_undo(const DaemonOptions& options) {
  const auto answers =
      ask_daemons(options.state_dir, control::Request{"undo", options.dry_run}.to_line());
  const std::vector<std::string> dirs = journals_left_behind(options.state_dir);
  if (answers.empty() && dirs.empty()) {
    // One may be held by an epulsed that does not answer: the error says so.
    if (actuate::Journal::is_held(options.state_dir)) actuate::Actuator{options.state_dir};
    actuate::Journal::read(options.state_dir);  // may not be ours to read
    return print(options, {{options.dry_run ? "changes" : "outcomes", json::array()}});
  }
  int status = undo_by_daemons(options, answers);
  for (const std::string& dir : dirs) status = std::max(status, undo_left_behind(options, dir));
  return status;
}

}  // namespace epulse::cli
