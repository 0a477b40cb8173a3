// epulse: the command line. Each subcommand is a file of this folder.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "agent/error.hpp"
#include "agent/model/text.hpp"
#include "common/choice.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/daemon_commands.hpp"
#include "tools/cli/documents.hpp"
#include "tools/cli/output.hpp"
#include "tools/cli/suggestion.hpp"
#include "tools/cli/validators.hpp"

namespace {

using namespace epulse::cli;

constexpr int kStatusError = 2;
constexpr int kStatusUnsupported = 69;  // EX_UNAVAILABLE of sysexits.h

struct Options {
  bool list_json = false;
  DoctorOptions doctor;
  StatOptions stat;
  TopOptions top;
  RecordOptions record;
  ReportOptions report;
  ScriptOptions script;
  DaemonOptions daemon;
  DocumentOptions documents;
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
  CLI::Option* interval =
      stat->add_option("interval", options.interval_s, "seconds between two tables")
          ->check(seconds(0.01, 86400))
          ->capture_default_str();
  stat->add_option("count", options.count, "tables before it ends; 0: until Ctrl-C or its end")
      ->check(whole_number());
  stat->add_option_function<double>(
          "-I,--interval-ms", [&options](double ms) { options.interval_s = ms / 1000; },
          "the interval in milliseconds")
      ->check(number("number of milliseconds", "MS", 10, 86400e3))
      ->excludes(interval);
  stat->add_flag("--stage", options.stages, "the p99 of all five stages instead of the queue");
  CLI::Option* threads = stat->add_flag("--per-thread", options.per_thread,
                                        "a row for each thread, its epoll instances summed");
  stat->add_flag("--per-epoll", options.per_epoll,
                 "a row for each epoll instance, its threads summed")
      ->excludes(threads);
  CLI::Option* separator =
      stat->add_option("-x,--field-separator", options.separator,
                       "lines for programs: a head, then plain values with this between them")
          ->type_name("SEP")
          ->check(separator_text());
  stat->add_flag("-j,--json", options.json, "lines of JSON, one for each interval and the summary")
      ->excludes(separator);
  stat->add_option("--backend", options.backend, "auto, fentry, kprobe, tracepoint or procfs")
      ->capture_default_str();
  add_budget_option(*stat, options.budget_percent);
  stat->add_flag("--cost", options.cost, "also print what each probe costs");
  stat->add_flag("--sockets", options.sockets, "also the worst of the process's socket queues");
  stat->footer(
      "Examples:\n  epulse stat -p 4711            every second, until Ctrl-C; then a summary\n"
      "  epulse stat -C nginx 5 12      all of that name, twelve times 5 s\n"
      "  epulse stat -p 4711,4712       two at once\n"
      "  epulse stat -p 4711 --stage -I 200\n"
      "  epulse stat -p 4711 -x, 1 60 > a.csv\n"
      "  epulse stat --unit nginx       a systemd service, restarts included\n"
      "  epulse stat -a --per-epoll     the whole host");
}

void add_top(CLI::App& app, TopOptions& options) {
  CLI::App* top = app.add_subcommand(
      "top",
      "the workers of a target, full screen: depth, stages, verdict; without a target the deepest "
      "ready queues of the host, sampled, which costs nothing per event");
  add_target_options(*top, options.target);
  top->add_option("interval", options.interval_s, "seconds between two tables")
      ->check(seconds(0.01, 86400))
      ->capture_default_str();
  top->add_option("count", options.count, "tables before it ends; 0: until q, Ctrl-C or its end")
      ->check(whole_number());
  top->add_option("--hz", options.hz,
                  "without a target: looks at all instances so many times a second")
      ->check(hertz(0.01, 1000))
      ->capture_default_str();
  top->add_option("-n,--rows", options.rows,
                  "without a screen: at most so many; 0: 20, with --json all")
      ->check(whole_number());
  top->add_flag("-j,--json", options.json, "one JSON object per line");
  add_budget_option(*top, options.budget_percent);
  top->footer(
      "Keys: left and right sort, r reverses, / filters, space freezes, up and down scroll, h "
      "helps, q quits.\nWithout a terminal, plain tables.\n"
      "Examples:\n  epulse top                     who has the deepest queue on this host?\n"
      "  epulse top -p 4711             its workers, every 2 s\n"
      "  epulse top -C nginx 1\n"
      "  epulse top 1 10 --json         ten seconds for a program");
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
  record
      ->add_option("--max-size", options.size_max,
                   "end when the file is as large: bytes, or 64K, 64M, 1G")
      ->transform(CLI::AsSizeValue(false));
  record->add_flag("--ring", options.ring,
                   "at --max-size the oldest makes room for the newest instead");
  record->add_option("command", options.command, "COMMAND to run meanwhile, after --");
  record->footer(
      "Examples:\n  epulse record -p 4711 -o slow.data -- sleep 10\n"
      "  epulse record -o redis.data -- redis-server --port 7000\n"
      "  epulse record -p 4711 --sample-every 1           every delivery by itself\n"
      "  epulse record --unit nginx --ring --max-size 64M until Ctrl-C, the last 64 MB");
}

void add_report(CLI::App& app, ReportOptions& options) {
  CLI::App* command = app.add_subcommand("report", "show a recording: stages, queue, histograms");
  CLI::Option* input =
      command->add_option("-i,--input", options.input, "the file")->capture_default_str();
  command->add_flag("--stdio")->description("text on standard output, as without --html");
  CLI::Option* histograms =
      command->add_flag("!--no-histograms", options.stdio.histograms, "no histograms");
  CLI::Option* timeline =
      command->add_flag("!--no-timeline", options.stdio.timeline, "not how it was over time");
  std::vector<std::pair<std::string, epulse::report::SortKey>> keys;
  for (size_t i = 0; i < std::size(epulse::report::kSortKeys); ++i) {
    keys.emplace_back(epulse::report::kSortKeys[i], static_cast<epulse::report::SortKey>(i));
  }
  CLI::Option* sort =
      command
          ->add_option(
              "-s,--sort", options.stdio.sort,
              "workers by recorded (their order in the file), events, or the p99 of depth, "
              "wakeup, latency or handler")
          ->transform(epulse::choice(keys));
  CLI::Option* rows =
      command->add_option("-n,--rows", options.stdio.workers, "the first so many workers; 0: all");
  command->add_flag("-j,--json", options.json, "one line of JSON, also of --diff and --join");
  CLI::Option* html =
      command->add_option("--html", options.html, "write a page with charts to this file instead")
          ->excludes("--json");
  CLI::Option* diff =
      command
          ->add_option("--diff", options.diff, "compare two files; status 1 when something moved")
          ->expected(2)
          ->type_name("BEFORE AFTER")
          ->excludes(html)
          ->excludes(input);
  CLI::Option* join =
      command
          ->add_option(
              "--join", options.join,
              "where the time of the messages went that epulse-load --record wrote to FILE")
          ->type_name("FILE")
          ->excludes(html)
          ->excludes(diff);
  // They choose what the text, or its JSON, has of workers.
  for (CLI::Option* choice : {histograms, timeline, sort, rows}) {
    choice->excludes(html)->excludes(diff)->excludes(join);
  }
  command->footer(
      "Examples:\n  epulse report -i slow.data\n"
      "  epulse report -i slow.data -s latency -n 3 --no-histograms\n"
      "  epulse report -i slow.data --html slow.html\n"
      "  epulse report -i slow.data -j | jq '.workers[0].stages.handler.p99_ns'\n"
      "  epulse report --diff before.data after.data\n"
      "  epulse record -p PID -d 10 --sample-every 1 --overhead-budget 0 -o slow.data &\n"
      "  epulse-load ws://HOST:PORT/ -r 1000 -d 8 --record load.json\n"
      "  epulse report -i slow.data --join load.json");
}

void add_script(CLI::App& app, ScriptOptions& options) {
  CLI::App* script =
      app.add_subcommand("script", "print every event of a recording, for other programs");
  script->add_option("-i,--input", options.input, "the file")->capture_default_str();
  script->add_flag("-j,--json", options.json, "one JSON object per line");
  script->footer(
      "Examples:\n  epulse script -i slow.data | grep late\n"
      "  epulse script -i slow.data -j | jq 'select(.type == \"wait\" and .items.depth_listed > "
      "500)'");
}

void add_list(CLI::App& app, bool& json) {
  CLI::App* list = app.add_subcommand("list", "every epoll instance of the host");
  list->add_flag("-j,--json", json, "one JSON object per line");
  list->footer("Examples:\n  epulse list\n  epulse list --json | jq -s 'max_by(.depth)'");
}

void add_doctor(CLI::App& app, DoctorOptions& options) {
  CLI::App* doctor = app.add_subcommand(
      "doctor",
      "what can be measured here, and why not more; status 1 when something is absent, 69 without "
      "BPF");
  doctor->add_flag("-j,--json", options.json, "JSON");
  doctor->add_option("--backend", options.backend, "only this one; an error when it is absent");
  doctor->footer(
      "Examples:\n  epulse doctor\n  epulse doctor --backend kprobe   would that one run here?");
}

void add_documents(CLI::App& app, DocumentOptions& options) {
  CLI::App* completion = app.add_subcommand("completion", "completion for a shell")->group("");
  completion->add_option("shell", options.shell, "bash, zsh or fish")->required();
  CLI::App* man = app.add_subcommand("man", "the manual page of a command, as mdoc(7)")->group("");
  man->add_option("command", options.command, "a command; none: of epulse itself");
  man->add_option("--all", options.folder, "every page, as files of this folder")
      ->type_name("FOLDER");
}

int run(const CLI::App& app, const Options& options) {
  if (app.got_subcommand("completion")) return run_completion(app, options.documents);
  if (app.got_subcommand("man")) return run_man(app, options.documents);
  if (app.got_subcommand("list")) return run_list(options.list_json);
  if (app.got_subcommand("stat")) return run_stat(options.stat);
  if (app.got_subcommand("top")) return run_top(options.top);
  if (app.got_subcommand("record")) return run_record(options.record);
  if (app.got_subcommand("report")) return run_report(options.report);
  if (app.got_subcommand("script")) return run_script(options.script);
  if (app.got_subcommand("doctor")) return run_doctor(options.doctor);
  if (app.got_subcommand("status")) return run_status(options.daemon);
  if (app.got_subcommand("advise")) return run_advise(options.daemon);
  if (app.got_subcommand("diff")) return run_diff(options.daemon);
  if (app.got_subcommand("history")) return run_history(options.daemon);
  return run_undo(options.daemon);
}

// CLI11 would only say that a subcommand is required, or that arguments were not expected.
std::string explain(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  if (argc > 1 && app.get_subcommands().empty()) {
    return fmt::format("there is no command or option {}{}", argv[1], suggestion(app, argv[1]));
  }
  // "The following argument was not expected: --foo"
  constexpr std::string_view kUnexpected = "not expected: ";
  std::string text = error.what();
  const size_t at = text.find(kUnexpected);
  if (at == std::string::npos) return text;
  const std::string all = text.substr(at + kUnexpected.size());
  const std::string word = all.substr(0, all.find(' '));
  return fmt::format("{} has no {} {}{}", app.get_subcommands().front()->get_name(),
                     word.starts_with('-') ? "option" : "further argument", word,
                     suggestion(app, word));
}

int fail_with(const std::exception& error, int status) {
  std::fflush(stdout);
  fmt::print(stderr, "epulse: {}\n", epulse::model::printable(error.what()));
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "epulse: what happens between \"socket ready\" and \"handled\", for any epoll server",
      "epulse");
  app.set_version_flag("--version", EPULSE_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 fine, 1 something was found, 2 usage or error, 69 this host cannot do it.\n"
      "Examples:\n  epulse list                    who has an epoll instance?\n"
      "  epulse top -p 4711             is it the kernel, the scheduler, or my code?\n"
      "  epulse stat --help");
  Options options;
  add_list(app, options.list_json);
  add_stat(app, options.stat);
  add_top(app, options.top);
  add_record(app, options.record);
  add_report(app, options.report);
  add_script(app, options.script);
  add_doctor(app, options.doctor);
  add_daemon_commands(app, options.daemon);
  add_documents(app, options.documents);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "epulse: {}; see epulse --help\n",
               epulse::model::printable(explain(app, error, argc, argv)));
    return kStatusError;
  }
  // Written into a closed pipe (`epulse report | head`): quiet.
  signal(SIGPIPE, SIG_DFL);
  try {
    const int status = run(app, options);
    flush_output();
    return status;
  } catch (const epulse::Unsupported& error) {
    return fail_with(error, kStatusUnsupported);
  } catch (const std::exception& error) {
    return fail_with(error, kStatusError);
  }
}
