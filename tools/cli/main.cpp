// epulse: the command line. Each subcommand is a file of this folder.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>

#include "agent/error.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/daemon_commands.hpp"
#include "tools/cli/validators.hpp"

namespace {

using namespace epulse::cli;

constexpr int kStatusError = 2;

struct Options {
  bool list_json = false;
  DoctorOptions doctor;
  StatOptions stat;
  TopOptions top;
  RecordOptions record;
  ReportOptions report;
  DaemonOptions daemon;
};

void add_budget_option(CLI::App& command, double& percent_of_cpu) {
  command
      .add_option(
          "--overhead-budget", percent_of_cpu,
          "% of one CPU that the probes may cost for each process; over it, queue depth and "
          "stages are measured in some intervals only; 0: no limit")
      ->check(percent())
      ->capture_default_str();
}

void add_stat(CLI::App& app, StatOptions& options) {
  CLI::App* stat = app.add_subcommand("stat", "ready-queue depth and wake-up latency, live");
  add_target_options(*stat, options.target);
  stat->add_option("interval", options.interval_s, "seconds between two tables")
      ->check(seconds(0.01, 86400))
      ->capture_default_str();
  stat->add_option("count", options.count, "tables before it ends; 0: until Ctrl-C or its end")
      ->check(CLI::NonNegativeNumber);
  stat->add_option("--backend", options.backend, "auto, fentry, kprobe, tracepoint or procfs")
      ->capture_default_str();
  add_budget_option(*stat, options.budget_percent);
  stat->add_flag("--cost", options.cost, "also print what each probe costs");
  stat->add_flag("--sockets", options.sockets, "also the worst of the process's socket queues");
  stat->footer(
      "Examples:\n  epulse stat -p 4711            every second, until Ctrl-C; then a summary\n"
      "  epulse stat -C nginx 5 12      all of that name, twelve times 5 s\n"
      "  epulse stat -p 4711,4712       two at once\n"
      "  epulse stat -p 4711 --children\n"
      "  epulse stat --unit nginx       a systemd service, restarts included");
}

void add_top(CLI::App& app, TopOptions& options) {
  CLI::App* top = app.add_subcommand(
      "top", "the deepest ready queues of the host, sampled: costs nothing per event");
  top->add_option("interval", options.interval_s, "seconds between two tables")
      ->check(seconds(0.01, 86400))
      ->capture_default_str();
  top->add_option("count", options.count, "tables before it ends; 0: until Ctrl-C")
      ->check(CLI::NonNegativeNumber);
  top->add_option("--hz", options.hz, "looks at all instances so many times a second")
      ->check(hertz(0.01, 1000))
      ->capture_default_str();
  top->add_option("-n,--rows", options.rows, "at most so many; 0: what fits, with --json all")
      ->check(CLI::NonNegativeNumber);
  top->add_flag("-j,--json", options.json, "one JSON object per line");
}

void add_record(CLI::App& app, RecordOptions& options) {
  CLI::App* record = app.add_subcommand(
      "record", "write what the probes see to a file; without a target, of COMMAND itself");
  add_target_options(*record, options.target);
  record->add_option("-o,--output", options.output, "the file")->capture_default_str();
  record->add_option("-I,--interval", options.interval_s, "seconds between two blocks")
      ->check(seconds(0.01, 3600))
      ->capture_default_str();
  record
      ->add_option("-d,--duration", options.duration_s, "seconds; 0: until COMMAND ends or Ctrl-C")
      ->check(seconds(0, 1e9));
  add_budget_option(*record, options.budget_percent);
  record->add_option("--sample-every", options.sample_every, "also every Nth delivery by itself");
  record
      ->add_option("--exception-depth", options.exception_depth,
                   "queues deeper than this by themselves")
      ->capture_default_str();
  record
      ->add_option("--exception-wakeup-us", options.exception_wakeup_us,
                   "wake-ups later than this by themselves")
      ->capture_default_str();
  record->add_option("command", options.command, "COMMAND to run meanwhile, after --");
  record->footer(
      "Examples:\n  epulse record -p 4711 -o slow.data -- sleep 10\n"
      "  epulse record -o redis.data -- redis-server --port 7000");
}

void add_report(CLI::App& app, ReportOptions& options) {
  CLI::App* report = app.add_subcommand("report", "show a recording: stages, queue, histograms");
  report->add_option("-i,--input", options.input, "the file")->capture_default_str();
  report->add_flag("!--no-histograms", options.histograms, "only the tables");
}

int run(const CLI::App& app, const Options& options) {
  if (app.got_subcommand("list")) return run_list(options.list_json);
  if (app.got_subcommand("stat")) return run_stat(options.stat);
  if (app.got_subcommand("top")) return run_top(options.top);
  if (app.got_subcommand("record")) return run_record(options.record);
  if (app.got_subcommand("report")) return run_report(options.report);
  if (app.got_subcommand("doctor")) return run_doctor(options.doctor);
  if (app.got_subcommand("status")) return run_status(options.daemon);
  if (app.got_subcommand("advise")) return run_advise(options.daemon);
  if (app.got_subcommand("diff")) return run_diff(options.daemon);
  if (app.got_subcommand("history")) return run_history(options.daemon);
  return run_undo(options.daemon);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "epulse: what happens between \"socket ready\" and \"handled\", for any epoll server");
  app.set_version_flag("--version", EPULSE_VERSION);
  app.require_subcommand(1);
  Options options;
  CLI::App* list = app.add_subcommand("list", "every epoll instance of the host");
  list->add_flag("-j,--json", options.list_json, "one JSON object per line");
  add_stat(app, options.stat);
  add_top(app, options.top);
  add_record(app, options.record);
  add_report(app, options.report);
  CLI::App* doctor = app.add_subcommand("doctor",
                                        "what can be measured here, and why not more; status 1 "
                                        "when something is absent, 2 without BPF");
  doctor->add_flag("-j,--json", options.doctor.json, "JSON");
  doctor->add_option("--backend", options.doctor.backend,
                     "only this one; an error when it is absent");
  add_daemon_commands(app, options.daemon);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    // CLI11 would only say that a subcommand is required.
    const bool unknown = argc > 1 && app.get_subcommands().empty();
    fmt::print(stderr, "epulse: {}; see epulse --help\n",
               unknown ? fmt::format("there is no command or option {}", argv[1]) : error.what());
    return kStatusError;
  }
  // Written into a closed pipe (`epulse report | head`): quiet.
  signal(SIGPIPE, SIG_DFL);
  try {
    return run(app, options);
  } catch (const std::exception& error) {
    fflush(stdout);
    fmt::print(stderr, "epulse: {}\n", error.what());
    return kStatusError;
  }
}
