#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "agent/model/text.hpp"
#include "tools/cli/epoll_table.hpp"
#include "tools/cli/output.hpp"
#include "tools/cli/socket_table.hpp"
#include "tools/cli/stat_output.hpp"
#include "tools/cli/table.hpp"
#include "tools/cli/terminal.hpp"
#include "tools/cli/uring_table.hpp"
#include "tools/cli/worker_table.hpp"

namespace epulse::cli {
namespace {

constexpr size_t kHeadEvery = 40;  // lines

std::string clock_text() {
  const time_t now = time(nullptr);
  tm local{};
  localtime_r(&now, &local);
  return fmt::format("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec);
}

// The share is of one CPU: what the host pays for the probes, all processes together.
void print_costs(const std::vector<probes::ProgramCost>& costs, uint64_t duration_ns) {
  fmt::print("\n probe cost, by the kernel's own clock\n   {:26} {:>12} {:>10} {:>10}\n", "program",
             "runs", "ns/run", "% of a CPU");
  for (const auto& cost : costs) {
    fmt::print(
        "   {:26} {:>12} {:>10.0f} {:>10.2f}\n", cost.name, cost.runs,
        cost.runs == 0 ? 0 : static_cast<double>(cost.run_ns) / static_cast<double>(cost.runs),
        100 * static_cast<double>(cost.run_ns) /
            static_cast<double>(std::max<uint64_t>(duration_ns, 1)));
  }
}

// Nothing while it is not known.
void print_overhead(const model::Overhead& overhead) {
  const std::string text = text_of(overhead);
  if (!text.empty()) fmt::print(" probes: {}\n", text);
}

// Who and what kept woken workers from a CPU. Nothing when nobody was late.
void print_delays(const StatReport& report) {
  constexpr size_t kShown = 4;
  const uint64_t detailed_ns = report.epoll.detailed_ns;
  const std::string threads =
      detailed_ns == 0 ? "" : text_of(model::by_culprit(report.blames), detailed_ns, kShown);
  if (!threads.empty()) fmt::print(" on the CPU while woken workers waited for it: {}\n", threads);
  if (threads.empty() && report.interference.throttled_times == 0) return;
  const std::string others = text_of(report.interference);
  if (!others.empty()) fmt::print(" beside threads: {}\n", others);
}

// Tables that fit the terminal; into a pipe or a file all columns go.
class StatTable : public StatOutput {
 public:
  StatTable(const StatOptions& options, bool processes)
      : options_(options), processes_(processes) {}

  void start(const std::string& title, const std::string& backend) override {
    fmt::print("# {}, {} backend, every {} s\n", title, backend, options_.interval_s);
    flush_output();
  }

  void interval(const StatReport& report) override {
    print_workers(report);
    if (report.epoll.losses.any()) print_losses(report.epoll.losses);
    print_delays(report);
    if (report.overhead.detail_one_in > 1) print_overhead(report.overhead);
    if (report.rings != nullptr) print_rings(*report.rings, report.names);
    if (report.sockets != nullptr) print_sockets(*report.sockets);
    flush_output();
  }

  void summary(const StatReport& report, const StatEnd& end) override {
    fmt::print("\n# {} over {}{}{}\n", end.title, model::duration_text(report.epoll.duration_ns),
               end.reason.empty() ? "" : "; ", end.reason);
    print_summary(report.epoll, report.names);
    print_delays(report);
    if (report.rings != nullptr) print_ring_summary(*report.rings, report.names);
    if (end.sockets != nullptr) print_socket_summary(*end.sockets, report.sockets->hooks);
    print_overhead(report.overhead);
    if (!end.costs.empty()) print_costs(end.costs, end.timed_ns);
    flush_output();
  }

 private:
  void print_workers(const StatReport& report) {
    const std::string time_text = clock_text();
    const Table table =
        worker_table(options_.stages ? WorkerColumns::kStages : WorkerColumns::kOverview,
                     {.interval = report.epoll,
                      .names = report.names,
                      .processes = processes_,
                      .time_text = time_text});
    const auto size = terminal_size();
    const Layout layout(table, size ? std::optional(size->columns) : std::nullopt, label_width_);
    if (lines_ % kHeadEvery == 0 || layout.flexible_width() != label_width_) {
      for (const std::string& line : layout.head(table)) fmt::print("{}\n", line);
      lines_ = 0;
    }
    label_width_ = layout.flexible_width();
    for (const Row& row : table.rows) {
      for (const std::string& line : layout.lines(table, row, wants_colours())) {
        fmt::print("{}\n", line);
      }
      ++lines_;
    }
    if (table.rows.empty()) fmt::print("{} no epoll_wait returned in this interval\n", time_text);
  }

  StatOptions options_;
  bool processes_;
  size_t label_width_ = 0;
  size_t lines_ = 0;  // since the head
};

}  // namespace

std::unique_ptr<StatOutput> make_stat_table(const StatOptions& options, bool processes) {
  return std::make_unique<StatTable>(options, processes);
}

}  // namespace epulse::cli
