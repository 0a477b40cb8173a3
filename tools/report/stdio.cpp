#include "tools/report/stdio.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/model/text.hpp"
#include "tools/cli/epoll_table.hpp"

namespace epulse::report {
namespace {

using model::count_text;
using model::duration_text;

constexpr size_t kTimelineRows = 24;
constexpr size_t kBarWidth = 24;

uint64_t rank_of(const model::WorkerStats& worker, SortKey key) {
  switch (key) {
    case SortKey::kRecorded:
      return 0;
    case SortKey::kEvents:
      return worker.events();
    case SortKey::kDepth:
      return worker.items[EPOLL_ITEMS_LISTED].quantile(0.99);
    case SortKey::kWakeup:
      return worker.stages[EPOLL_STAGE_WOKEN_TO_RUNNING].quantile(0.99);
    case SortKey::kLatency:
      return worker.stages[EPOLL_STAGE_READY_TO_DELIVERED].quantile(0.99);
    case SortKey::kHandler:
      return worker.stages[EPOLL_STAGE_HANDLER].quantile(0.99);
  }
  return 0;
}

void print_histograms(const model::EpollSnapshot& total, const record::ThreadNames& names) {
  const bool processes = cli::several_processes(total.workers);
  for (const model::WorkerStats& worker : total.workers) {
    fmt::print("\n# {}, epoll fd {}\n", cli::worker_label(worker.key, names, processes),
               worker.key.epfd);
    for (size_t i = 0; i < worker.items.size(); ++i) {
      cli::print_histogram(model::kItemsNames[i].data(), worker.items[i], false);
    }
    for (size_t i = 0; i < worker.stages.size(); ++i) {
      cli::print_histogram(model::kStageNames[i].data(), worker.stages[i], true);
    }
  }
}

// A line for each stretch of time, all workers together, with a bar for the queue's depth.
void print_timeline(const Timeline& timeline) {
  const std::vector<TimelineColumn> rows = timeline.in_columns(kTimelineRows);
  if (rows.size() < 2) return;
  const auto depth_of = [](const TimelineColumn& row) {
    return row.all.items[EPOLL_ITEMS_LISTED].quantile(0.99);
  };
  uint64_t deepest = 1;
  for (const TimelineColumn& row : rows) deepest = std::max(deepest, depth_of(row));
  fmt::print("\n# over time, all workers (p99 of each stage)\n");
  fmt::print("   {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7}\n", "FROM", "EVENTS/s",
             "RDY>WOKE", "WOKE>RUN", "RUN>DLV", "RDY>DLV", "HANDLER", "DEPTH99", "MAX");
  for (const TimelineColumn& row : rows) {
    const auto stage = [&](epoll_stage which) {
      const model::Histogram& histogram = row.all.stages[which];
      return histogram.count() == 0 ? "-" : duration_text(histogram.quantile(0.99));
    };
    const uint64_t since_start = row.from_ns - std::min(row.from_ns, rows[0].from_ns);
    const double rate =
        row.measured_ns == 0 ? 0 : static_cast<double>(row.all.events()) / row.seconds();
    const uint64_t depth = depth_of(row);
    const double share = static_cast<double>(depth) / static_cast<double>(deepest);
    fmt::print("   {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} |{}\n",
               duration_text(since_start), count_text(rate), stage(EPOLL_STAGE_READY_TO_WOKEN),
               stage(EPOLL_STAGE_WOKEN_TO_RUNNING), stage(EPOLL_STAGE_RUNNING_TO_DELIVERED),
               stage(EPOLL_STAGE_READY_TO_DELIVERED), stage(EPOLL_STAGE_HANDLER), depth,
               row.all.items[EPOLL_ITEMS_LISTED].max(),
               std::string(static_cast<size_t>(kBarWidth * share), '*'));
  }
}

void print_waits(const Summary& summary) {
  const WaitDigest& waits = summary.waits();
  if (waits.count == 0) return;
  fmt::print("\n# {} single waits recorded: {} deep, {} late, {} sampled\n", waits.count,
             waits.deep, waits.late, waits.sampled);
  const auto& workers = summary.total().workers;
  const bool processes = cli::several_processes(workers);
  const auto describe = [&](const char* what, const epoll_wait_record& wait) {
    const auto worker = std::find_if(workers.begin(), workers.end(), [&](const auto& candidate) {
      return candidate.key.tid == wait.tid;
    });
    model::WorkerKey key{wait.epoll_id, wait.tid, wait.epfd, 0};
    if (worker != workers.end()) key.tgid = worker->key.tgid;
    fmt::print(
        " {}: {} on CPU {}: {} listed, batch {}, woken to running {}, ready to delivered {}\n",
        what, cli::worker_label(key, summary.names(), processes && key.tgid != 0), wait.cpu,
        wait.items[EPOLL_ITEMS_LISTED], wait.items[EPOLL_ITEMS_BATCH],
        duration_text(wait.stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING]),
        duration_text(wait.stage_ns[EPOLL_STAGE_READY_TO_DELIVERED]));
  };
  describe("deepest", *waits.deepest);
  describe("latest", *waits.latest);
}

}  // namespace

model::EpollSnapshot chosen_workers(const model::EpollSnapshot& total,
                                    const StdioOptions& options) {
  model::EpollSnapshot sorted = total;
  std::vector<model::WorkerStats>& workers = sorted.workers;
  std::erase_if(workers, [](const model::WorkerStats& worker) { return worker.waits() == 0; });
  std::stable_sort(workers.begin(), workers.end(), [&](const auto& a, const auto& b) {
    return rank_of(a, options.sort) > rank_of(b, options.sort);
  });
  if (options.workers != 0 && workers.size() > options.workers) workers.resize(options.workers);
  return sorted;
}

void print_report(const Summary& summary, const StdioOptions& options) {
  for (const auto& [key, value] : summary.meta()) fmt::print("# {}: {}\n", key, value);
  fmt::print("# recorded: {} in {} intervals\n", duration_text(summary.total().duration_ns),
             summary.intervals());
  const model::EpollSnapshot total = chosen_workers(summary.total(), options);
  cli::print_summary(total, summary.names());
  if (options.timeline) print_timeline(summary.timeline());
  if (options.histograms) print_histograms(total, summary.names());
  print_waits(summary);
}

}  // namespace epulse::report
