#include <fmt/format.h>

#include <algorithm>

#include "agent/export/record_reader.hpp"
#include "agent/model/text.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/epoll_table.hpp"
#include "tools/cli/report.hpp"

namespace epulse::cli {
namespace {

void print_waits(const record::Recording& recording) {
  size_t deep = 0;
  size_t late = 0;
  size_t sampled = 0;
  const epoll_wait_record* deepest = nullptr;
  const epoll_wait_record* latest = nullptr;
  for (const epoll_wait_record& wait : recording.waits) {
    deep += (wait.reasons & EPOLL_WAIT_DEEP) != 0 ? 1 : 0;
    late += (wait.reasons & EPOLL_WAIT_LATE) != 0 ? 1 : 0;
    sampled += (wait.reasons & EPOLL_WAIT_SAMPLED) != 0 ? 1 : 0;
    if (deepest == nullptr || wait.items[EPOLL_ITEMS_LISTED] > deepest->items[EPOLL_ITEMS_LISTED]) {
      deepest = &wait;
    }
    if (latest == nullptr || wait.stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING] >
                                 latest->stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING]) {
      latest = &wait;
    }
  }
  fmt::print("\n# {} single waits recorded: {} deep, {} late, {} sampled\n", recording.waits.size(),
             deep, late, sampled);
  const auto& workers = recording.total.workers;
  const bool processes = several_processes(workers);
  const auto describe = [&](const char* what, const epoll_wait_record& wait) {
    const auto worker = std::find_if(workers.begin(), workers.end(), [&](const auto& candidate) {
      return candidate.key.tid == wait.tid;
    });
    model::WorkerKey key{wait.epoll_id, wait.tid, wait.epfd, 0};
    if (worker != workers.end()) key.tgid = worker->key.tgid;
    fmt::print(
        " {}: {} on CPU {}: {} listed, batch {}, woken to running {}, ready to delivered {}\n",
        what, worker_label(key, recording.names, processes && key.tgid != 0), wait.cpu,
        wait.items[EPOLL_ITEMS_LISTED], wait.items[EPOLL_ITEMS_BATCH],
        model::duration_text(wait.stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING]),
        model::duration_text(wait.stage_ns[EPOLL_STAGE_READY_TO_DELIVERED]));
  };
  if (deepest != nullptr) describe("deepest", *deepest);
  if (latest != nullptr) describe("latest", *latest);
}

}  // namespace

void print_recording(const record::Recording& recording, bool histograms) {
  for (const auto& [key, value] : recording.meta) fmt::print("# {}: {}\n", key, value);
  fmt::print("# recorded: {} in {} intervals\n", model::duration_text(recording.total.duration_ns),
             recording.intervals);
  print_summary(recording.total, recording.names);
  if (histograms) {
    const bool processes = several_processes(recording.total.workers);
    for (const model::WorkerStats& worker : recording.total.workers) {
      if (worker.waits() == 0) continue;
      fmt::print("\n# {}, epoll fd {}\n", worker_label(worker.key, recording.names, processes),
                 worker.key.epfd);
      for (size_t i = 0; i < worker.items.size(); ++i) {
        print_histogram(model::kItemsNames[i].data(), worker.items[i], false);
      }
      for (size_t i = 0; i < worker.stages.size(); ++i) {
        print_histogram(model::kStageNames[i].data(), worker.stages[i], true);
      }
    }
  }
  if (!recording.waits.empty()) print_waits(recording);
}

int run_report(const ReportOptions& options) {
  const record::Recording recording = record::read_recording(options.input);
  print_recording(recording, options.histograms);
  if (recording.damage.empty()) return 0;
  std::fflush(stdout);
  fmt::print(stderr, "epulse: {}: {}; all before it is shown\n", options.input, recording.damage);
  return 1;
}

}  // namespace epulse::cli
