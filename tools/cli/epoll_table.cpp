#include "tools/cli/epoll_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/model/text.hpp"
#include "agent/model/verdict.hpp"

namespace epulse::cli {
namespace {

using model::duration_text;

// "nginx[4711], epoll fd 9", without the descriptor where several were summed.
std::string heading(const model::WorkerKey& key, const record::ThreadNames& names, bool processes) {
  const std::string label = worker_label(key, names, processes);
  return key.epfd < 0 ? label : fmt::format("{}, epoll fd {}", label, key.epfd);
}

}  // namespace

std::string worker_label(const model::WorkerKey& key, const record::ThreadNames& names,
                         bool process) {
  const auto label = [&](uint32_t id) {
    const auto name = names.find(id);
    return fmt::format("{}[{}]", name == names.end() ? "?" : model::printable(name->second), id);
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
    fmt::print("\n {}: {}\n", heading(worker.key, names, processes), model::verdict(worker));
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
