#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "agent/error.hpp"
#include "agent/export/record_reader.hpp"
#include "agent/export/record_writer.hpp"
#include "tools/cli/commands.hpp"
#include "tools/report/diff.hpp"
#include "tools/report/html.hpp"
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

int run_diff(const std::string& before_path, const std::string& after_path) {
  report::Summary before;
  report::Summary after;
  const auto before_condition = scan(before_path, before);
  const auto after_condition = scan(after_path, after);
  fmt::print("# before: {}\n# after:  {}\n", before_path, after_path);
  const bool moved = report::print_differences(report::compare(before, after));
  const bool damaged = tell_damage(before_path, before_condition);
  return tell_damage(after_path, after_condition) || damaged || moved ? 1 : 0;
}

}  // namespace

int run_report(const ReportOptions& options) {
  if (!options.diff.empty()) return run_diff(options.diff[0], options.diff[1]);
  report::Summary summary;
  const record::RecordCondition condition = scan(options.input, summary);
  if (options.html.empty()) {
    report::print_report(summary, options.stdio);
  } else {
    write_file(options.html, report::html_page(summary, text_of(condition)));
    fmt::print(stderr, "epulse: the page is {}\n", options.html);
  }
  return tell_damage(options.input, condition) ? 1 : 0;
}

int run_script(const ScriptOptions& options) {
  report::Script script(stdout, options.json);
  const record::RecordCondition condition = scan(options.input, script);
  return tell_damage(options.input, condition) ? 1 : 0;
}

}  // namespace epulse::cli
