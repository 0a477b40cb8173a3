#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <optional>

#include "agent/error.hpp"
#include "agent/kernel/process.hpp"
#include "agent/kernel/sched_sampler.hpp"
#include "agent/model/epoll_top.hpp"
#include "agent/model/text.hpp"
#include "agent/probes/epoll_list.hpp"
#include "agent/probes/plan.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/watch.hpp"

namespace epulse::cli {
namespace {

using model::EpollTopRow;

constexpr size_t kRowsMax = 20;    // where there is no screen
constexpr size_t kOtherLines = 4;  // the head, and where the cursor stands below the last row
constexpr const char* kClearScreen = "\033[H\033[2J";

// What fits on the terminal; nullopt when there is none.
std::optional<size_t> screen_rows() {
  winsize size{};
  if (isatty(STDOUT_FILENO) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
  if (size.ws_row == 0) return {};  // a serial line does not tell
  return std::max<size_t>(size.ws_row, kOtherLines + 1) - kOtherLines;
}

struct Passes {
  uint64_t count = 0;
  uint64_t spent_ns = 0;
};

std::string depth_text(const EpollTopRow& row, double value, int digits) {
  return row.depth_known == 0 ? "-" : fmt::format("{:.{}f}", value, digits);
}

int watched(const EpollTopRow& row) {
  return kernel::watched_descriptors(static_cast<pid_t>(row.pid), row.epfd).value_or(0);
}

void print_json(const std::vector<EpollTopRow>& rows, size_t most, const Passes& passes) {
  const auto now = static_cast<long long>(time(nullptr));
  for (size_t i = 0; i < std::min(most, rows.size()); ++i) {
    const EpollTopRow& row = rows[i];
    const bool known = row.depth_known != 0;
    fmt::print(
        R"({{"schema_version":1,"time":{},"pid":{},"name":{},"epfd":{},"watched":{},"waiting_mean":{:.3f},)"
        R"("depth_mean":{},"depth_max":{},"passes":{},"depth_known":{},"passes_all":{}}})"
        "\n",
        now, row.pid, model::json_text(row.name), row.epfd, watched(row), row.waiting_mean(),
        known ? fmt::format("{:.3f}", row.depth_mean()) : "null",
        known ? fmt::format("{}", row.depth_max) : "null", row.passes, row.depth_known,
        passes.count);
  }
}

void print_table(const std::vector<EpollTopRow>& rows, size_t most, const Passes& passes,
                 bool screen) {
  const uint64_t each_ns = passes.spent_ns / std::max<uint64_t>(passes.count, 1);
  fmt::print("{}# {} epoll descriptors, {} passes of {} each; nothing runs in between\n\n",
             screen ? kClearScreen : "", rows.size(), passes.count, model::duration_text(each_ns));
  fmt::print("{:>8} {:16} {:>5} {:>8} {:>8} {:>10} {:>9}\n", "PID", "PROCESS", "EPFD", "WATCHED",
             "WAITING", "DEPTH MEAN", "DEPTH MAX");
  for (size_t i = 0; i < std::min(most, rows.size()); ++i) {
    const EpollTopRow& row = rows[i];
    fmt::print("{:>8} {:16} {:>5} {:>8} {:>8.1f} {:>10} {:>9}\n", row.pid, row.name, row.epfd,
               watched(row), row.waiting_mean(), depth_text(row, row.depth_mean(), 1),
               depth_text(row, row.depth_max, 0));
  }
  if (!screen) fmt::print("\n");
}

}  // namespace

int run_top(const TopOptions& options) {
  const kernel::Facts facts = kernel::detect();
  if (facts.bpf_errno != 0 || !facts.own_proc) {
    fail("depth is absent here: {}; `epulse list` shows the descriptors", probes::plan(facts).why);
  }
  Watch watch;
  const probes::EpollLister lister(facts);
  model::EpollTop top;
  const double interval_s = std::max(options.interval_s, 1 / options.hz);
  const double passes_each = std::round(interval_s * options.hz);
  watch.start(interval_s / passes_each);
  for (uint64_t n = 0; options.count == 0 || n < options.count; ++n) {
    Passes passes;
    const uint64_t until_ns = kernel::monotonic_ns() + static_cast<uint64_t>(interval_s * 1e9);
    // A host with very many descriptors may take longer over a pass than it is due.
    while (static_cast<double>(passes.count) < passes_each &&
           (passes.count == 0 || kernel::monotonic_ns() < until_ns)) {
      if (watch.next() != Watch::Event::kTick) return 0;
      const uint64_t start_ns = kernel::monotonic_ns();
      top.add_pass(lister.read());
      passes.spent_ns += kernel::monotonic_ns() - start_ns;
      ++passes.count;
    }
    const auto screen = screen_rows();
    const std::vector<EpollTopRow> rows = top.take();
    const size_t fits = options.json ? rows.size() : screen.value_or(kRowsMax);
    const size_t most = options.rows != 0 ? options.rows : fits;
    if (options.json) {
      print_json(rows, most, passes);
    } else {
      print_table(rows, most, passes, screen.has_value());
    }
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace epulse::cli
