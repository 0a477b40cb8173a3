#include "agent/alerts/metrics.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace epulse::alerts {
namespace {

using Source = Metric::Source;

enum ThreadFigure { kRunQueueDelay, kDelayShare, kRunShare };

constexpr std::array<std::string_view, 7> kStatistics = {"max", "mean", "p50", "p90",
                                                         "p99", "p999", "rate"};

constexpr std::array kMetrics = {
    Metric{"ready_to_woken", "ready to woken", "us", Source::kStage, EPOLL_STAGE_READY_TO_WOKEN},
    Metric{"woken_to_running", "wake-up latency (woken to running)", "us", Source::kStage,
           EPOLL_STAGE_WOKEN_TO_RUNNING},
    Metric{"running_to_delivered", "running to delivered", "us", Source::kStage,
           EPOLL_STAGE_RUNNING_TO_DELIVERED},
    Metric{"ready_to_delivered", "age of the oldest item delivered", "us", Source::kStage,
           EPOLL_STAGE_READY_TO_DELIVERED},
    Metric{"handler", "handler time", "us", Source::kStage, EPOLL_STAGE_HANDLER},
    Metric{"depth", "ready-queue depth", "", Source::kItems, EPOLL_ITEMS_LISTED},
    Metric{"depth_fresh", "fresh ready-queue depth", "", Source::kItems, EPOLL_ITEMS_FRESH},
    Metric{"backlog_left", "backlog left", "", Source::kItems, EPOLL_ITEMS_LEFT},
    Metric{"batch", "batch", "", Source::kItems, EPOLL_ITEMS_BATCH, false},
    Metric{"waits", "waits", "/s", Source::kCounter, EPOLL_COUNTER_WAITS, false},
    Metric{"saturated", "saturated batches", "/s", Source::kCounter, EPOLL_COUNTER_SATURATED,
           false},
    Metric{"timeouts", "waits that timed out", "/s", Source::kCounter, EPOLL_COUNTER_TIMEOUTS,
           false},
    Metric{"errors", "waits that failed", "/s", Source::kCounter, EPOLL_COUNTER_ERRORS, false},
    Metric{"empty_wakeups", "empty wake-ups", "/s", Source::kCounter, EPOLL_COUNTER_EMPTY_WAKEUPS},
    Metric{"stalled", "time without a wait while items are ready", "s", Source::kLoop, 0, false},
    Metric{"run_queue_delay", "run-queue delay per time slice", "us", Source::kThread,
           kRunQueueDelay, false},
    Metric{"delay_share", "share of time kept from running", "", Source::kThread, kDelayShare,
           false},
    Metric{"run_share", "share of time running", "", Source::kThread, kRunShare, false},
};

double statistic_of(const model::Histogram& histogram, Statistic statistic) {
  switch (statistic) {
    case Statistic::kMax:
      return static_cast<double>(histogram.max());
    case Statistic::kMean:
      return histogram.mean();
    case Statistic::kP50:
      return static_cast<double>(histogram.quantile(0.5));
    case Statistic::kP90:
      return static_cast<double>(histogram.quantile(0.9));
    case Statistic::kP99:
      return static_cast<double>(histogram.quantile(0.99));
    case Statistic::kP999:
      return static_cast<double>(histogram.quantile(0.999));
    case Statistic::kRate:
      break;  // not of a histogram: statistics_of()
  }
  return 0;
}

}  // namespace

std::span<const std::string_view> statistic_names() {
  return kStatistics;
}

std::string_view name_of(Statistic statistic) {
  return kStatistics.at(static_cast<size_t>(statistic));
}

std::span<const Metric> metrics() {
  return kMetrics;
}

std::vector<std::string_view> metric_names() {
  std::vector<std::string_view> names;
  names.reserve(kMetrics.size());
  for (const Metric& one : kMetrics) names.push_back(one.name);
  return names;
}

const Metric& metric(std::string_view name) {
  return *std::find_if(kMetrics.begin(), kMetrics.end(),
                       [&](const Metric& one) { return one.name == name; });
}

bool is_share(const Metric& metric) {
  return metric.source == Source::kThread && metric.index != kRunQueueDelay;
}

std::vector<Statistic> statistics_of(const Metric& metric) {
  switch (metric.source) {
    case Source::kStage:
    case Source::kItems:
      return {Statistic::kMax, Statistic::kMean, Statistic::kP50,
              Statistic::kP90, Statistic::kP99,  Statistic::kP999};
    case Source::kCounter:
      return {Statistic::kRate};
    case Source::kLoop:
      return {Statistic::kMax};
    case Source::kThread:
      break;
  }
  return {Statistic::kMean};
}

Figure figure(const Metric& metric, Statistic statistic, const model::WorkerStats& worker,
              double seconds) {
  const auto index = static_cast<size_t>(metric.index);
  if (metric.source == Source::kCounter) {
    const uint64_t count = worker.counters.at(index);
    return {seconds > 0 ? static_cast<double>(count) / seconds : 0, count};
  }
  const bool is_stage = metric.source == Source::kStage;
  const model::Histogram& histogram = is_stage ? worker.stages.at(index) : worker.items.at(index);
  return {statistic_of(histogram, statistic) / (is_stage ? 1000 : 1), histogram.count()};
}

Figure figure(const Metric& metric, const model::ThreadSched& thread, double seconds) {
  const auto slices = static_cast<uint64_t>(thread.timeslices_per_second * seconds);
  if (metric.index == kDelayShare) return {thread.delay_share, slices};
  if (metric.index == kRunShare) return {thread.run_share, slices};
  return {static_cast<double>(thread.delay_ns_mean) / 1000, slices};
}

}  // namespace epulse::alerts
