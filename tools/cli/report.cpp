#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "agent/error.hpp"
#include "agent/export/record_reader.hpp"
#include "agent/export/record_writer.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/output.hpp"
#include "tools/report/diff.hpp"
#include "tools/report/html.hpp"
#include "tools/report/join_text.hpp"
#include "tools/report/json.hpp"
#include "tools/report/script.hpp"

namespace epulse::cli {
namespace {

constexpr uint64_t kLargeBytes = 64U << 20;

record::RecordCondition scan(const std::string& path, record::RecordVisitor& visitor) {
  record::FileSource file(path);
  const bool shown = file.size() >= kLargeBytes && isatty(STDERR_FILENO) != 0;
  const auto progress = [&](double share) {
    fmt::print(stderr, "\r\033[Kepulse: {}: {:.0f} %", path, 100 * share);
  };
  auto condition = shown ? record::scan_recording(file, path, visitor, progress)
                         : record::scan_recording(file, path, visitor);
  if (shown) fmt::print(stderr, "\r\033[K");
  return condition;
}

// After the results, so that it is the last thing seen. True when something is missing.
bool tell_damage(const std::string& path, const record::RecordCondition& condition) {
  if (condition.whole()) return false;
  std::fflush(stdout);
  fmt::print(stderr, "epulse: {}: {}; all else is shown\n", path, text_of(condition));
  const std::string before = record::path_before(path);
  if (!condition.ended && std::filesystem::exists(before)) {
    fmt::print(stderr, "epulse: {} may have what came before: cat {} {} > whole.data\n", before,
               before, path);
  }
  return true;
}

void write_file(const std::string& path, const std::string& contents) {
  std::ofstream file(path, std::ios::binary);
  file << contents;
  file.close();
  if (!file) fail("cannot write {}: {}", path, errno_text(errno));
}

int run_diff(const ReportOptions& options) {
  report::Summary before;
  report::Summary after;
  const report::Read before_file{options.diff[0], scan(options.diff[0], before)};
  const report::Read after_file{options.diff[1], scan(options.diff[1], after)};
  const std::vector<report::Difference> differences = report::compare(before, after);
  if (options.json) {
    print_text(report::differences_json(before_file, after_file, differences));
  } else {
    fmt::print("# before: {}\n# after:  {}\n", before_file.path, after_file.path);
    report::print_differences(differences);
  }
  const bool damaged = tell_damage(before_file.path, before_file.condition);
  const bool found = tell_damage(after_file.path, after_file.condition) || damaged;
  return found || report::any_moved(differences) ? 1 : 0;
}

// A wait that was going on when the load began, and one that went on when it ended.
constexpr uint64_t kMarginNs = 10'000'000'000;

int run_join(const ReportOptions& options) {
  const report::LoadRecord load = report::read_load_record(options.join);
  report::Deliveries deliveries({.from_ns = load.start_ns - std::min(load.start_ns, kMarginNs),
                                 .to_ns = load.end_ns + kMarginNs,
                                 .connections = report::ends_of(load)});
  const report::Read file{options.input, scan(options.input, deliveries)};
  deliveries.finish();
  const auto meta = [&](const std::string& name) {
    const auto found = deliveries.meta().find(name);
    return found == deliveries.meta().end() ? std::string{} : found->second;
  };
  if (meta("waits") != "all") {
    fail(
        "{} has not every epoll_wait, and --join needs them: record it with --sample-every 1 "
        "--overhead-budget 0",
        options.input);
  }
  if (meta("boot_id") != load.boot_id) {
    fail("{} and {} are not of one machine between two boots: their clocks have nothing in common",
         options.input, options.join);
  }
  const report::Join join = report::join(load, deliveries);
  if (join.attributed == 0) {
    fail("none of the {} messages in {} can be laid beside {}: {}", load.messages.size(),
         options.join, options.input,
         join.of_unknown_connections != 0
             ? "the recorder saw none of their connections; were they open at the end of an "
               "interval, is it the recording of their server, and is no proxy or NAT between?"
             : "it has no epoll_wait at their time; were they recorded at the same time? (io_uring "
               "engines have no epoll_wait)");
  }
  print_text(options.json ? report::join_json(file, load, deliveries, join)
                          : report::join_text(load, deliveries, join));
  return tell_damage(file.path, file.condition) || join.lacks_many() ? 1 : 0;
}

// The page must not take the place of what it is made of.
void check_output(const ReportOptions& options) {
  std::error_code unknown;
  if (std::filesystem::equivalent(options.html, options.input, unknown)) {
    fail("--html {} is the recording itself: give the page another name", options.html);
  }
}

}  // namespace

int run_report(const ReportOptions& options) {
  check_output(options);
  if (!options.join.empty()) return run_join(options);
  if (!options.diff.empty()) return run_diff(options);
  report::Summary summary;
  const report::Read file{options.input, scan(options.input, summary)};
  if (options.json) {
    print_text(report::report_json(file, summary, options.stdio));
  } else if (options.html.empty()) {
    report::print_report(summary, options.stdio);
  } else {
    write_file(options.html, report::html_page(summary, text_of(file.condition)));
    fmt::print(stderr, "epulse: the page is {}\n", options.html);
  }
  return tell_damage(file.path, file.condition) ? 1 : 0;
}

int run_script(const ScriptOptions& options) {
  report::Script script(stdout, options.json);
  const record::RecordCondition condition = scan(options.input, script);
  return tell_damage(options.input, condition) ? 1 : 0;
}

}  // namespace epulse::cli
