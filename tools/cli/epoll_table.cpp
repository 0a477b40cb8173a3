#include "tools/cli/epoll_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "agent/model/text.hpp"
#include "agent/model/verdict.hpp"

namespace epulse::cli {
namespace {

using model::count_text;
using model::duration_text;

constexpr size_t kHeaderEvery = 40;

std::string clock_text() {
  const time_t now = time(nullptr);
  tm local{};
  localtime_r(&now, &local);
  return fmt::format("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec);
}

}  // namespace

std::string worker_label(const model::WorkerKey& key, const record::ThreadNames& names,
                         bool process) {
  const auto label = [&](uint32_t id) {
    const auto name = names.find(id);
    return fmt::format("{}[{}]", name == names.end() ? "?" : name->second, id);
  };
  // The main thread has the process's id.
  if (!process || key.tgid == key.tid) return label(key.tid);
  return label(key.tgid) + "/" + label(key.tid);
}

bool several_processes(const std::vector<model::WorkerStats>& workers) {
  return std::any_of(workers.begin(), workers.end(), [&](const model::WorkerStats& worker) {
    return worker.key.tgid != workers[0].key.tgid;
  });
}

// Two lines: what the columns are about, then the columns.
void EpollTable::print_header() {
  fmt::print("\n{:8} {:{}} {:>4} {:>8} {:>8} {:>6} {:>17} {:>6} {:>44} {:>7}\n", "", "",
             label_width_, "", "", "", "batch", "queue depth", "left", "p99 of each stage",
             "empty");
  fmt::print(
      "{:8} {:{}} {:>4} {:>8} {:>8} {:>6} {:>5} {:>5} {:>5} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8} "
      "{:>7}\n",
      "TIME", "WORKER", label_width_, "EPFD", "WAITS/s", "EVENTS/s", "MEAN", "P50", "P99", "MAX",
      "MAX", "RDY>WOKE", "WOKE>RUN", "RUN>DLV", "RDY>DLV", "HANDLER", "WAKE/s");
  header_printed_ = true;
  lines_since_header_ = 0;
}

void EpollTable::print(const model::EpollSnapshot& interval, const record::ThreadNames& names) {
  const auto label = [&](const model::WorkerStats& worker) {
    return worker_label(worker.key, names, processes_);
  };
  size_t widest = label_width_;
  for (const model::WorkerStats& worker : interval.workers) {
    if (processes_ && worker.waits() != 0) widest = std::max(widest, label(worker).size());
  }
  if (!header_printed_ || lines_since_header_ >= kHeaderEvery || widest > label_width_) {
    label_width_ = widest;
    print_header();
  }
  const double seconds = static_cast<double>(interval.duration_ns) / 1e9;
  const std::string time_text = clock_text();
  // Where waits were only counted, the few samples are of an instant.
  const auto measured = [&](const model::Histogram& histogram) {
    return interval.detailed_ns != 0 && histogram.count() != 0;
  };
  bool any = false;
  for (const model::WorkerStats& worker : interval.workers) {
    if (worker.waits() == 0) continue;
    any = true;
    const auto& depth = worker.items[EPOLL_ITEMS_LISTED];
    const auto& stages = worker.stages;
    const auto per_second = [&](uint64_t n) {
      return count_text(static_cast<double>(n) / seconds);
    };
    const auto items_text = [&](uint64_t n) {
      return measured(depth) ? fmt::format("{}", n) : "-";
    };
    const auto p99_text = [&](const model::Histogram& stage) {
      return measured(stage) ? duration_text(stage.quantile(0.99)) : "-";
    };
    fmt::print(
        "{:8} {:{}} {:>4} {:>8} {:>8} {:>6.1f} {:>5} {:>5} {:>5} {:>6} {:>8} {:>8} {:>8} {:>8} "
        "{:>8} "
        "{:>7}\n",
        time_text, label(worker), label_width_, worker.key.epfd, per_second(worker.waits()),
        per_second(worker.events()), worker.items[EPOLL_ITEMS_BATCH].mean(),
        items_text(depth.quantile(0.5)), items_text(depth.quantile(0.99)), items_text(depth.max()),
        items_text(worker.items[EPOLL_ITEMS_LEFT].max()),
        p99_text(stages[EPOLL_STAGE_READY_TO_WOKEN]),
        p99_text(stages[EPOLL_STAGE_WOKEN_TO_RUNNING]),
        p99_text(stages[EPOLL_STAGE_RUNNING_TO_DELIVERED]),
        p99_text(stages[EPOLL_STAGE_READY_TO_DELIVERED]), p99_text(stages[EPOLL_STAGE_HANDLER]),
        interval.detailed_ns == 0 ? "-" : per_second(worker.counters[EPOLL_COUNTER_EMPTY_WAKEUPS]));
    ++lines_since_header_;
  }
  if (!any) fmt::print("{:8} no epoll_wait returned in this interval\n", time_text);
  if (interval.losses.any()) print_losses(interval.losses);
  std::fflush(stdout);
}

void print_summary(const model::EpollSnapshot& total, const record::ThreadNames& names) {
  const bool processes = several_processes(total.workers);
  if (total.detailed_ns < total.duration_ns) {
    fmt::print(
        "\n to keep to the overhead budget, queue depth, stages and wake-ups are from {:.0f} % of "
        "the "
        "time; waits, events and batches are complete\n",
        100 * static_cast<double>(total.detailed_ns) / static_cast<double>(total.duration_ns));
  }
  for (const model::WorkerStats& worker : total.workers) {
    if (worker.waits() == 0) continue;
    const auto counter = [&](epoll_counter which) { return worker.counters[which]; };
    fmt::print("\n {}, epoll fd {}: {}\n", worker_label(worker.key, names, processes),
               worker.key.epfd, model::verdict(worker));
    fmt::print(
        "   {} waits, {} with events, {} saturated (maxevents {}), {} timed out, {} failed\n",
        worker.waits(), counter(EPOLL_COUNTER_DELIVERIES), counter(EPOLL_COUNTER_SATURATED),
        worker.max_events, counter(EPOLL_COUNTER_TIMEOUTS), counter(EPOLL_COUNTER_ERRORS));
    fmt::print("   {} events, {} wake-ups, {} empty\n", worker.events(),
               counter(EPOLL_COUNTER_WAKEUPS), counter(EPOLL_COUNTER_EMPTY_WAKEUPS));
    fmt::print("   {:22} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "stage", "count", "mean", "p50",
               "p90", "p99", "max");
    for (size_t i = 0; i < worker.stages.size(); ++i) {
      const model::Histogram& stage = worker.stages[i];
      if (stage.count() == 0) {
        fmt::print("   {:22} {:>10} {:>9}\n", model::kStageNames[i], 0, "-");
        continue;
      }
      fmt::print("   {:22} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}\n", model::kStageNames[i],
                 stage.count(), duration_text(stage.sum() / stage.count()),
                 duration_text(stage.quantile(0.5)), duration_text(stage.quantile(0.9)),
                 duration_text(stage.quantile(0.99)), duration_text(stage.max()));
    }
    fmt::print("   {:22} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "items", "count", "mean", "p50",
               "p90", "p99", "max");
    for (size_t i = 0; i < worker.items.size(); ++i) {
      const model::Histogram& items = worker.items[i];
      if (items.count() == 0) {
        fmt::print("   {:22} {:>10} {:>9}\n", model::kItemsNames[i], 0, "-");
        continue;
      }
      fmt::print("   {:22} {:>10} {:>9.2f} {:>9} {:>9} {:>9} {:>9}\n", model::kItemsNames[i],
                 items.count(), items.mean(), items.quantile(0.5), items.quantile(0.9),
                 items.quantile(0.99), items.max());
    }
    if (const uint64_t n = counter(EPOLL_COUNTER_UNTIMED); n != 0) {
      fmt::print("   {} deliveries had no certain readiness time (docs/metrics.md)\n", n);
    }
    if (const uint64_t n = counter(EPOLL_COUNTER_UNSEEN_DEPTH); n != 0) {
      fmt::print(
          "   {} depths are lower bounds: another thread was draining, or over 2,048 items\n", n);
    }
    if (const uint64_t n = counter(EPOLL_COUNTER_INVALID); n != 0) {
      fmt::print("   {} absurd times left out\n", n);
    }
  }
  print_losses(total.losses);
}

void print_losses(const model::EpollLosses& losses) {
  for (const std::string& text : texts_of(losses)) fmt::print(" lost: {}\n", text);
}

void print_histogram(const char* title, const model::Histogram& histogram, bool durations) {
  if (histogram.count() == 0) return;
  // By powers of two: 16 slots to an octave are for quantiles, not for the eye.
  std::vector<uint64_t> octaves(64);
  const auto& slots = histogram.slots();
  for (uint32_t i = 0; i < slots.size(); ++i) {
    const uint64_t low = histogram.shape().low(i);
    octaves[low == 0 ? 0 : epulse_log2(low) + 1] += slots[i];
  }
  size_t first = 0;
  size_t last = octaves.size() - 1;
  while (first < last && octaves[first] == 0) ++first;
  while (last > first && octaves[last] == 0) --last;
  const uint64_t most = *std::max_element(octaves.begin(), octaves.end());
  if (most == 0) return;  // a file says so; the probe fills the slot first
  const auto text = [&](uint64_t value) {
    return durations ? duration_text(value) : fmt::format("{}", value);
  };
  fmt::print("   {:>8} -> {:8} : {:10} {}\n", durations ? "from" : "items", "to", "count", title);
  for (size_t i = first; i <= last; ++i) {
    const uint64_t low = i == 0 ? 0 : 1ULL << (i - 1);
    const uint64_t high = i == 0 ? 0 : (1ULL << i) - 1;
    const double share = static_cast<double>(octaves[i]) / static_cast<double>(most);
    const auto bar = static_cast<size_t>(40 * share);
    fmt::print("   {:>8} -> {:8} : {:<10} |{:40}|\n", text(low), text(high), octaves[i],
               std::string(bar, '*'));
  }
}

}  // namespace epulse::cli
