#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace CLI {
class App;
}

// The subcommands that are about epulsed: status, advise, diff, history, undo. Each returns the
// exit status: 0 nothing, 1 something (an alarm fires, there is advice, changes are in force, an
// undo failed).
namespace epulse::cli {

struct DaemonOptions {
  std::string state_dir = "/run/epulse";
  bool json = false;     // the daemons' own answers, a line each
  bool dry_run = false;  // undo
  bool all = false;      // advise: each proposal by itself
  size_t events = 50;    // history
};

void add_daemon_commands(CLI::App& app, DaemonOptions& options);

int run_status(const DaemonOptions& options);
int run_advise(const DaemonOptions& options);
int run_diff(const DaemonOptions& options);
int run_history(const DaemonOptions& options);
int run_undo(const DaemonOptions& options);

// What each epulsed of a state directory answers; none where none runs. One that hangs, may not be
// asked or answers with an error does not keep the others from being asked: its error is among
// `errors`.
struct DaemonAnswers {
  std::vector<nlohmann::json> answers;
  std::vector<std::string> dirs;  // that they are in
  std::vector<std::string> errors;
};
DaemonAnswers ask_daemons(const std::string& state_dir, const std::string& request);

// Says the errors on standard error, after the results. The exit status that they make of `status`.
int tell_errors(const DaemonAnswers& daemons, int status);

// The same; throws Error when none runs.
DaemonAnswers ask_running_daemons(const std::string& state_dir, const std::string& request);

// Names the journals that were set aside for damage, on standard error, for as long as they are
// there.
void tell_set_aside(const std::string& state_dir);

// As one line of standard output, as all of ours are (docs/schemas).
void print_json(const char* type, nlohmann::json object);

// Throws Error when a state directory was named that is not there, or is none: a slip of the pen is
// no all-clear.
void check_state_dir(const DaemonOptions& options);

// The state directory, and those in it: the units of packaging/ have one each.
std::vector<std::string> state_dirs(const std::string& state_dir);

// Of these, those that have a journal which no epulsed holds: of one that died. Their changes are
// in force still, or may be, where the journal is damaged, or cannot be read and none of `daemons`
// is there.
std::vector<std::string> journals_left_behind(const std::string& state_dir,
                                              const DaemonAnswers& daemons);

// "" for what is not there, or no text.
std::string text_at(const nlohmann::json& object, const char* name);

}  // namespace epulse::cli
