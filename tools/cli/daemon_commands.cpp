#include "tools/cli/daemon_commands.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "agent/actuate/journal.hpp"
#include "agent/control/protocol.hpp"
#include "agent/error.hpp"
#include "agent/model/text.hpp"
#include "common/json_line.hpp"
#include "common/line_client.hpp"
#include "tools/cli/output.hpp"

namespace epulse::cli {
namespace {

using nlohmann::json;

constexpr double kPatienceS = 10;
constexpr int kErrorStatus = 2;

CLI::App* add_command(CLI::App& app, DaemonOptions& options, const char* name, const char* help) {
  CLI::App* command = app.add_subcommand(name, help);
  command->add_option("--state-dir", options.state_dir, "epulsed's state directory")
      ->capture_default_str();
  command->add_flag("-j,--json", options.json, "JSON, a line for each epulsed");
  return command;
}

bool is_closed(const std::string& path, int mode) {
  return access(path.c_str(), mode) != 0 && errno == EACCES;
}

std::string closed_text(const std::string& path) {
  return fmt::format("{}: {}; be root, or a member of agent.group", path, errno_text(EACCES));
}

void require_directory(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_directory(status)) {
    fail("{} is no directory; give the --state-dir that epulsed had", path);
  }
}

}  // namespace

void add_daemon_commands(CLI::App& app, DaemonOptions& options) {
  add_command(app, options, "status",
              "what each running epulsed watches, what fires, what it has changed; status 1 when "
              "an alarm fires");
  CLI::App* advise =
      add_command(app, options, "advise",
                  "what epulsed would change, why, and the command that does the same, or why "
                  "there is no advice; status 1 when there is some");
  advise->add_flag("-a,--all", options.all,
                   "every proposal; else of those of one scenario the first alone");
  add_command(app, options, "diff",
              "the changes that are in force, also of an epulsed that died; status 1 when there "
              "are any");
  CLI::App* history = add_command(app, options, "history",
                                  "what happened: alarms, advice, changes; needs no epulsed");
  history->add_option("-n,--events", options.events, "at most so many, the last ones")
      ->capture_default_str();
  CLI::App* undo = add_command(app, options, "undo",
                               "restore what epulsed has changed; one that runs stands down, one "
                               "that died is cleared up after");
  undo->add_flag("-n,--dry-run", options.dry_run, "only say what would be undone");
}

DaemonAnswers ask_daemons(const std::string& state_dir, const std::string& request) {
  DaemonAnswers daemons;
  for (const std::string& path : control::socket_paths(state_dir)) {
    if (is_closed(path, W_OK)) {
      daemons.errors.push_back(closed_text(path));
      continue;
    }
    try {
      const auto line = ask_line(path, request, kPatienceS);
      if (!line) continue;  // left behind by one that was killed
      json answer = json::parse(*line, nullptr, false);
      if (!answer.is_object()) fail("{}: the answer is no object of JSON", path);
      if (const std::string error = text_at(answer, "error"); !error.empty()) {
        fail("{}: {}", path, error);
      }
      daemons.answers.push_back(std::move(answer));
      daemons.dirs.push_back(std::filesystem::path(path).parent_path());
    } catch (const std::runtime_error& error) {
      daemons.errors.emplace_back(error.what());
    }
  }
  // A member of one's group need not be one of the others'.
  for (const std::string& dir : state_dirs(state_dir)) {
    const bool silent = daemons.answers.empty();
    if (silent && is_closed(dir, R_OK | X_OK)) daemons.errors.push_back(closed_text(dir));
  }
  return daemons;
}

int tell_errors(const DaemonAnswers& daemons, int status) {
  std::fflush(stdout);
  for (const std::string& error : daemons.errors) fmt::print(stderr, "epulse: {}\n", error);
  return daemons.errors.empty() ? status : kErrorStatus;
}

void tell_set_aside(const std::string& state_dir) {
  std::fflush(stdout);
  for (const std::string& dir : state_dirs(state_dir)) {
    for (const std::string& path : actuate::Journal::set_aside(dir)) {
      fmt::print(stderr,
                 "epulse: {} has lines that could not be read: a change that one of them announced "
                 "may be in force still, and nobody will undo it; look at what they name, put it "
                 "back by hand, then remove it\n",
                 path);
    }
  }
}

void check_state_dir(const DaemonOptions& options) {
  require_directory(options.state_dir);
  const bool is_given = options.state_dir != DaemonOptions{}.state_dir;
  std::error_code error;
  const auto status = std::filesystem::status(options.state_dir, error);
  if (is_given && status.type() == std::filesystem::file_type::not_found) {
    fail("there is no state directory {}; give the --state-dir that epulsed had",
         options.state_dir);
  }
}

DaemonAnswers ask_running_daemons(const std::string& state_dir, const std::string& request) {
  require_directory(state_dir);
  DaemonAnswers daemons = ask_daemons(state_dir, request);
  if (daemons.answers.empty() && daemons.errors.empty()) {
    const size_t left = journals_left_behind(state_dir, daemons).size();
    fail("no epulsed runs with the state directory {}; {}", state_dir,
         left == 0
             ? "start one, or name another --state-dir"
             : "one that died may have left changes behind: see epulse diff, and epulse undo");
  }
  return daemons;
}

void print_json(const char* type, json object) {
  object.erase("version");  // of the protocol
  object["schema_version"] = JsonLine::kSchemaVersion;
  object["type"] = type;
  // A journal may name what is no UTF-8.
  print_text(object.dump(-1, ' ', false, json::error_handler_t::replace) + '\n');
}

std::vector<std::string> state_dirs(const std::string& state_dir) {
  std::vector<std::string> dirs = {state_dir};
  std::error_code error;
  for (std::filesystem::directory_iterator at(state_dir, error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    std::error_code gone;
    if (at->is_directory(gone)) dirs.push_back(at->path());
  }
  std::sort(dirs.begin(), dirs.end());
  return dirs;
}

std::vector<std::string> journals_left_behind(const std::string& state_dir,
                                              const DaemonAnswers& daemons) {
  std::vector<std::string> dirs = state_dirs(state_dir);
  std::erase_if(dirs, [&](const std::string& dir) {
    try {
      const actuate::JournalState journal = actuate::Journal::read(dir);
      return (journal.pending.empty() && !journal.has_damage) || actuate::Journal::is_held(dir);
    } catch (const Error&) {
      // A member of agent.group may ask, and not read. That all is closed is said already.
      const std::string same = (std::filesystem::path(dir) / "journal").parent_path();
      return is_closed(dir, R_OK | X_OK) ||
             std::find(daemons.dirs.begin(), daemons.dirs.end(), same) != daemons.dirs.end();
    }
  });
  return dirs;
}

std::string text_at(const json& object, const char* name) {
  const auto at = object.find(name);
  // Names that others chose are among it, and it goes to a terminal.
  return at != object.end() && at->is_string() ? model::printable(at->get<std::string>()) : "";
}

}  // namespace epulse::cli
