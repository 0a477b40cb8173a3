// epulsed: the agent. Options and configuration here, the loop in daemon.cpp.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "agent/config/usable.hpp"
#include "agent/daemon/daemon.hpp"
#include "agent/error.hpp"
#include "agent/kernel/process.hpp"
#include "agent/targets/resolver.hpp"
#include "common/manual_page.hpp"
#include "tools/cli/validators.hpp"

namespace {

using epulse::config::Mode;

constexpr int kStatusError = 2;

struct Arguments {
  pid_t pid = 0;
  std::string unit;
  std::string config_path;
  std::string mode;  // empty: as configured
  std::optional<std::string> state_dir;
  std::string backend = "auto";
  bool print_config = false;
  bool check_config = false;
};

void add_options(CLI::App& app, Arguments& arguments) {
  app.set_version_flag("--version", EPULSE_VERSION);
  app.add_option("-p,--pid", arguments.pid, "the process to watch")
      ->check(epulse::cli::process_id());
  app.add_option("--unit", arguments.unit,
                 "... or the one process of this systemd unit that has "
                 "an epoll instance");
  app.add_option("-c,--config", arguments.config_path, "configuration file (TOML)");
  app.add_option("-m,--mode", arguments.mode,
                 "auto (apply for epulse-ws, advise for others), observe, advise or apply")
      ->check(CLI::IsMember({"auto", "observe", "advise", "apply"}));
  app.add_option("--state-dir", arguments.state_dir, "where the journal of changes is kept");
  app.add_option("--backend", arguments.backend,
                 "auto, fentry, kprobe, tracepoint, or procfs to do without BPF")
      ->capture_default_str();
  app.add_flag("--print-config", arguments.print_config,
               "print a commented configuration with every default, and exit");
  app.add_flag(
      "--check-config", arguments.check_config,
      "read the configuration, look whether the group, program and directory that it names "
      "are there, and exit: 0, or 2 and what is wrong");
  app.footer("Examples:\n  epulsed -p $(pidof epulse-ws)");
  epulse::add_manual_option(
      app,
      {.name = "epulsed",
       .synopsis = "epulsed",
       .brief = "watches an epoll server, warns, and retunes it",
       .command = {},
       .more =
           "SIGTERM, SIGINT and SIGQUIT end it: what it has changed is restored, what fires is "
           "resolved.\n"
           "SIGHUP reads the configuration again, and a bad one changes nothing; on a terminal, "
           "or without -c, it ends it. "
           "agent.state_dir, agent.group and [probes] hold from the next start on.\n"
           "After SIGKILL the changes stay in force, until the next epulsed with the same state "
           "directory starts, or epulse undo is run.",
       .environment = {{"NOTIFY_SOCKET, WATCHDOG_USEC",
                        "systemd's: it is told when epulsed is ready, and that it lives"},
                       {"http_proxy, https_proxy, no_proxy",
                        "on the way to the Alertmanager, as curl(1) has them"}},
       .files = {{"/run/epulse", "the state directory, unless agent.state_dir says another"},
                 {"STATE_DIR/journal",
                  "changes in force, each written before it is made; empty when there are none"},
                 {"STATE_DIR/journal.damaged",
                  "one that had lines that could not be read; for you to look at, and remove"},
                 {"STATE_DIR/history, STATE_DIR/history.1",
                  "what happened, a JSON object a line; 1 MiB each at most"},
                 {"STATE_DIR/epulsed-PID.sock", "what epulse status and its kin ask"}},
       .exit_statuses = {{0, "It has ended, and what it had changed is restored."},
                         {1, "It has ended; something failed, or a change could not be undone."},
                         {2, "Wrong usage, or an error."}},
       .see_also = {"epulse 1", "epulse-advise 1", "epulse-undo 1", "epulse-ws 1"}});
}

Mode mode_of(const std::string& name) {
  if (name == "observe") return Mode::kObserve;
  if (name == "advise") return Mode::kAdvise;
  return name == "apply" ? Mode::kApply : Mode::kAuto;
}

// The file, where there is one, then what the command line says.
epulse::config::Config configuration(const Arguments& arguments) {
  epulse::config::Config config;
  if (!arguments.config_path.empty()) config = epulse::config::load(arguments.config_path);
  if (!arguments.mode.empty()) config.agent.mode = mode_of(arguments.mode);
  // Absolute, as the messages name it to who reads them elsewhere.
  if (arguments.state_dir) {
    config.agent.state_dir = std::filesystem::absolute(*arguments.state_dir).lexically_normal();
  }
  epulse::config::require_usable(config);
  return config;
}

pid_t target(const Arguments& arguments) {
  if (arguments.unit.empty()) {
    if (arguments.pid == 0) {
      epulse::fail("no target; give one with -p PID (`epulse list` shows them) or --unit NAME");
    }
    return epulse::kernel::require_epoll_process(arguments.pid);
  }
  std::vector<pid_t> pids = epulse::targets::resolve(epulse::targets::Unit{arguments.unit});
  std::erase_if(pids, [](pid_t pid) { return !epulse::kernel::has_epoll(pid); });
  if (pids.size() != 1) {
    epulse::fail("unit {} has {} processes with an epoll instance ({}); choose one with -p PID",
                 arguments.unit, pids.size(), fmt::join(pids, ", "));
  }
  return pids[0];
}

int run(const Arguments& arguments) {
  if (arguments.print_config) {
    fmt::print("{}", epulse::config::example());
    return 0;
  }
  if (arguments.check_config) {
    configuration(arguments);
    fmt::print("{}: ok\n", arguments.config_path.empty() ? "the defaults" : arguments.config_path);
    return 0;
  }
  epulse::daemon::Options options;
  options.config = configuration(arguments);
  if (!arguments.config_path.empty()) {
    options.reload = [arguments] { return configuration(arguments); };
  }
  options.backend = arguments.backend;
  options.pid = target(arguments);
  spdlog::set_default_logger(spdlog::stderr_color_mt("epulsed"));
  spdlog::set_pattern("%H:%M:%S epulsed %^%l%$ %v");
  spdlog::set_level(spdlog::level::from_str(options.config.agent.log_level));
  return epulse::daemon::Daemon(options).run();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "epulsed: watches an epoll server, warns, and retunes it; restores everything on exit");
  Arguments arguments;
  add_options(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "epulsed: {}; see epulsed --help\n", error.what());
    return kStatusError;
  }
  // `epulsed 2>&1 | tee log`, and tee ends first: we still have changes to restore.
  signal(SIGPIPE, SIG_IGN);
  // A limit on the size of files is an error of a write, as a full disk is.
  signal(SIGXFSZ, SIG_IGN);
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    fmt::print(stderr, "epulsed: {}\n", error.what());
    return kStatusError;
  }
}
