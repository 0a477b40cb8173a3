#include "tools/cli/worker_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/model/text.hpp"
#include "agent/model/verdict.hpp"
#include "tools/cli/epoll_table.hpp"

namespace epulse::cli {
namespace {

using model::count_text;
using model::duration_text;
using model::WorkerStats;

// What epulsed warns of when nothing else is configured.
constexpr uint64_t kDepthAlarm = 500;
constexpr uint64_t kWakeupAlarmNs = 100'000;

struct Field {
  Column column;
  Cell (*cell)(const WorkerTableInput& input, const WorkerStats& worker);
};

Cell absent() {
  return {"-", -1, false};
}

// Where waits were only counted, the few samples are of an instant.
bool measured(const WorkerTableInput& input, const model::Histogram& histogram) {
  return input.interval.detailed_ns != 0 && histogram.count() != 0;
}

Cell number(uint64_t value) {
  return {fmt::format("{}", value), static_cast<double>(value), false};
}

Cell rate(const WorkerTableInput& input, uint64_t count) {
  const double seconds = static_cast<double>(input.interval.duration_ns) / 1e9;
  const double per_second = seconds > 0 ? static_cast<double>(count) / seconds : 0;
  return {count_text(per_second), per_second, false};
}

Cell label(const WorkerTableInput& input, const WorkerStats& worker) {
  return {worker_label(worker.key, input.names, input.processes), 0, false};
}

Cell time(const WorkerTableInput& input, const WorkerStats& /*worker*/) {
  return {input.time_text, 0, false};
}

Cell descriptor(const WorkerTableInput& /*input*/, const WorkerStats& worker) {
  if (worker.key.epfd < 0) return absent();
  return number(static_cast<uint64_t>(worker.key.epfd));
}

Cell waits(const WorkerTableInput& input, const WorkerStats& worker) {
  return rate(input, worker.waits());
}

Cell events(const WorkerTableInput& input, const WorkerStats& worker) {
  return rate(input, worker.events());
}

Cell wakeups(const WorkerTableInput& input, const WorkerStats& worker) {
  if (input.interval.detailed_ns == 0) return absent();
  return rate(input, worker.counters[EPOLL_COUNTER_WAKEUPS]);
}

Cell empty_wakeups(const WorkerTableInput& input, const WorkerStats& worker) {
  if (input.interval.detailed_ns == 0) return absent();
  return rate(input, worker.counters[EPOLL_COUNTER_EMPTY_WAKEUPS]);
}

Cell batch(const WorkerTableInput& /*input*/, const WorkerStats& worker) {
  const double mean = worker.items[EPOLL_ITEMS_BATCH].mean();
  return {fmt::format("{:.1f}", mean), mean, false};
}

Cell depth_now(const WorkerTableInput& input, const WorkerStats& worker) {
  if (input.depths_now == nullptr) return absent();
  const auto depth = input.depths_now->find(worker.key);
  return depth == input.depths_now->end() ? absent() : number(depth->second);
}

Cell depth_p50(const WorkerTableInput& input, const WorkerStats& worker) {
  const auto& depth = worker.items[EPOLL_ITEMS_LISTED];
  return measured(input, depth) ? number(depth.quantile(0.5)) : absent();
}

Cell depth_p99(const WorkerTableInput& input, const WorkerStats& worker) {
  const auto& depth = worker.items[EPOLL_ITEMS_LISTED];
  if (!measured(input, depth)) return absent();
  Cell cell = number(depth.quantile(0.99));
  cell.alarming = depth.quantile(0.99) > kDepthAlarm;
  return cell;
}

Cell depth_max(const WorkerTableInput& input, const WorkerStats& worker) {
  const auto& depth = worker.items[EPOLL_ITEMS_LISTED];
  return measured(input, depth) ? number(depth.max()) : absent();
}

Cell left_max(const WorkerTableInput& input, const WorkerStats& worker) {
  const auto& left = worker.items[EPOLL_ITEMS_LEFT];
  return measured(input, worker.items[EPOLL_ITEMS_LISTED]) ? number(left.max()) : absent();
}

template <epoll_stage stage>
Cell stage_p99(const WorkerTableInput& input, const WorkerStats& worker) {
  const model::Histogram& times = worker.stages[stage];
  if (!measured(input, times)) return absent();
  const uint64_t p99_ns = times.quantile(0.99);
  const bool late = stage == EPOLL_STAGE_WOKEN_TO_RUNNING && p99_ns > kWakeupAlarmNs;
  return {duration_text(p99_ns), static_cast<double>(p99_ns), late};
}

constexpr Field kTime{{"", "TIME", 8, 0, true}, time};
constexpr Field kWorker{{"", "WORKER", 18, 0, true}, label};
constexpr Field kDescriptor{{"", "EPFD", 4, 3, false}, descriptor};
constexpr Field kWaits{{"waits", "/s", 6, 4, false}, waits};
constexpr Field kEvents{{"events", "/s", 6, 1, false}, events};
constexpr Field kWakeups{{"woken", "/s", 6, 0, false}, wakeups};
constexpr Field kEmpty{{"empty", "wk/s", 6, 5, false}, empty_wakeups};
constexpr Field kBatch{{"batch", "mean", 5, 0, false}, batch};
constexpr Field kDepthNow{{"depth", "now", 5, 0, false}, depth_now};
constexpr Field kDepthP50{{"depth", "p50", 5, 7, false}, depth_p50};
constexpr Field kDepthP99{{"depth", "p99", 5, 0, false}, depth_p99};
constexpr Field kDepthMax{{"depth", "max", 5, 0, false}, depth_max};
constexpr Field kLeft{{"left", "max", 5, 8, false}, left_max};
constexpr Field kReadyToWoken{{"ready", ">woken", 6, 0, false},
                              stage_p99<EPOLL_STAGE_READY_TO_WOKEN>};
constexpr Field kWokenToRunning{{"woken", ">run", 6, 0, false},
                                stage_p99<EPOLL_STAGE_WOKEN_TO_RUNNING>};
constexpr Field kRunningToDelivered{{"run", ">dlv", 6, 0, false},
                                    stage_p99<EPOLL_STAGE_RUNNING_TO_DELIVERED>};
constexpr Field kReadyToDelivered{{"ready", ">dlv", 6, 0, false},
                                  stage_p99<EPOLL_STAGE_READY_TO_DELIVERED>};
constexpr Field kHandler{{"handler", "p99", 7, 0, false}, stage_p99<EPOLL_STAGE_HANDLER>};

// The same, left out where it is narrow.
constexpr Field optional(Field field, int rank) {
  field.column.rank = rank;
  return field;
}

std::vector<Field> fields_of(WorkerColumns columns) {
  switch (columns) {
    case WorkerColumns::kOverview:
      return {kDescriptor,
              kWaits,
              kEvents,
              kBatch,
              kDepthP50,
              kDepthP99,
              kDepthMax,
              kLeft,
              optional(kReadyToWoken, 10),
              kWokenToRunning,
              optional(kRunningToDelivered, 9),
              kReadyToDelivered,
              kHandler,
              kEmpty};
    case WorkerColumns::kStages:
      return {kDescriptor,       kWaits,          kEvents,
              kReadyToWoken,     kWokenToRunning, kRunningToDelivered,
              kReadyToDelivered, kHandler,        kEmpty};
    case WorkerColumns::kTop:
      return {kDescriptor, kEvents,       kDepthNow,       kDepthP99,           kBatch,
              kWakeups,    kReadyToWoken, kWokenToRunning, kRunningToDelivered, kReadyToDelivered,
              kHandler,    kEmpty};
  }
  return {};
}

}  // namespace

Table worker_table(WorkerColumns columns, const WorkerTableInput& input) {
  std::vector<Field> fields = fields_of(columns);
  fields.insert(fields.begin(), kWorker);
  if (!input.time_text.empty()) fields.insert(fields.begin(), kTime);
  Table table;
  table.flexible = input.time_text.empty() ? 0 : 1;
  for (const Field& field : fields) table.columns.push_back(field.column);
  if (input.blames != nullptr) table.remark_title = "VERDICT";
  for (const WorkerStats& worker : input.interval.workers) {
    if (worker.waits() == 0) continue;
    Row row;
    for (const Field& field : fields) row.cells.push_back(field.cell(input, worker));
    if (input.blames != nullptr) {
      const auto blames = input.blames->find(worker.key.tid);
      row.remark = model::short_verdict(
          worker, blames == input.blames->end() ? std::vector<model::Blame>{} : blames->second,
          input.interval.detailed_ns);
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

size_t worst_column(const Table& table) {
  const auto found = std::find_if(
      table.columns.begin(), table.columns.end(),
      [](const Column& column) { return column.name() == kReadyToDelivered.column.name(); });
  return found == table.columns.end() ? 0 : static_cast<size_t>(found - table.columns.begin());
}

}  // namespace epulse::cli
