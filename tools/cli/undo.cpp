#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/actuate/actuator.hpp"
#include "agent/actuate/journal.hpp"
#include "agent/control/history.hpp"
#include "agent/control/protocol.hpp"
#include "agent/error.hpp"
#include "tools/cli/daemon_commands.hpp"

namespace epulse::cli {
namespace {

using nlohmann::json;

void print_preview(const json& answer) {
  for (const json& change : answer.at("changes")) {
    fmt::print("would undo {} (by hand: {})\n", text_at(change, "change"),
               text_at(change, "undo_by_hand"));
  }
  for (const json& change : answer.value("left_alone", json::array())) {
    fmt::print("would leave alone {}: {}\n", text_at(change, "change"), text_at(change, "why"));
  }
}

bool has_failed(const json& outcomes) {
  return std::any_of(outcomes.begin(), outcomes.end(),
                     [](const json& outcome) { return text_at(outcome, "result") == "failed"; });
}

int print(const DaemonOptions& options, const json& answer) {
  const json& list = answer.at(options.dry_run ? "changes" : "outcomes");
  const bool nothing = list.empty() && answer.value("left_alone", json::array()).empty();
  if (options.json) {
    print_json(options.dry_run ? "changes" : "outcomes", answer);
  } else if (nothing) {
    fmt::print("nothing to undo in {}\n", options.state_dir);
  } else if (options.dry_run) {
    print_preview(answer);
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

// What a damaged line announced may be in force, and nobody can undo it: no success.
int tell_damage(const actuate::JournalState& journal) {
  for (const std::string& complaint : journal.complaints) {
    fmt::print(stderr, "epulse: {}\n", complaint);
  }
  return journal.has_damage ? 1 : 0;
}

// Of those that died.
int undo_left_behind(const DaemonOptions& options, const std::string& dir) {
  const actuate::JournalState journal = actuate::Journal::read(dir);
  const int damage = tell_damage(journal);
  if (options.dry_run) {  // without the lock, and nothing is created
    return std::max(damage, print(options, control::preview_json(journal.pending)));
  }
  actuate::Actuator actuator(dir);
  const std::vector<actuate::Outcome> outcomes = actuator.undo_all();
  control::History history(dir);
  for (const actuate::Outcome& outcome : outcomes) history.add("undone", outcome.text);
  return std::max(damage, print(options, {{"outcomes", control::outcomes_json(outcomes)}}));
}

int undo(const DaemonOptions& options) {
  DaemonAnswers daemons =
      ask_daemons(options.state_dir, control::Request{"undo", options.dry_run}.to_line());
  const std::vector<std::string> dirs = journals_left_behind(options.state_dir, daemons);
  if (daemons.answers.empty() && daemons.errors.empty() && dirs.empty()) {
    // One may be held by an epulsed that does not answer: the error says so.
    if (actuate::Journal::is_held(options.state_dir)) actuate::Actuator{options.state_dir};
    actuate::Journal::read(options.state_dir);  // may not be ours to read
    return print(options,
                 options.dry_run ? control::preview_json({}) : json{{"outcomes", json::array()}});
  }
  int status = undo_by_daemons(options, daemons.answers);
  for (const std::string& dir : dirs) {
    try {
      status = std::max(status, undo_left_behind(options, dir));
    } catch (const Error& error) {
      daemons.errors.emplace_back(error.what());
    }
  }
  return tell_errors(daemons, status);
}

}  // namespace

int run_undo(const DaemonOptions& options) {
  check_state_dir(options);
  const int status = undo(options);
  tell_set_aside(options.state_dir);  // also one that this undo has set aside
  return status;
}

}  // namespace epulse::cli
