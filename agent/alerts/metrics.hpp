#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "agent/model/epoll_stats.hpp"
#include "agent/model/sched.hpp"

// What an alert rule can look at. Pure.
namespace epulse::alerts {

enum class Statistic { kMax, kMean, kP50, kP90, kP99, kP999, kRate };

// In the order of Statistic, as configurations name them.
std::span<const std::string_view> statistic_names();
std::string_view name_of(Statistic statistic);

struct Metric {
  enum class Source {
    kStage,    // a histogram of nanoseconds of a worker, shown in us; index: EPOLL_STAGE_*
    kItems,    // a histogram of items of a worker; index: EPOLL_ITEMS_*
    kCounter,  // of a worker, per second; index: EPOLL_COUNTER_*
    kThread,   // the scheduler's figures of a thread; the only ones there are without BPF
    kLoop,     // of an epoll instance: whether anybody serves it
  };
  std::string_view name;  // as configurations write it: "woken_to_running"
  std::string_view text;  // as people read it: "wake-up latency (woken to running)"
  std::string_view unit;  // "us", "/s"; empty for a number of items and for a share
  Source source = Source::kStage;
  int index = 0;
  bool needs_detail = true;  // nothing is known of it where waits are only counted
};

std::span<const Metric> metrics();
// Names in the order of metrics().
std::vector<std::string_view> metric_names();
// `name` is one of them.
const Metric& metric(std::string_view name);

// A part of the time: 0 to 1.
bool is_share(const Metric& metric);

// The statistics that there are of a metric; never empty.
std::vector<Statistic> statistics_of(const Metric& metric);

struct Figure {
  double value = 0;
  uint64_t samples = 0;
};

// Of a worker over `seconds`. `metric` is not of a thread or a loop, `statistic` is one of its own.
Figure figure(const Metric& metric, Statistic statistic, const model::WorkerStats& worker,
              double seconds);

// `metric` is one of a thread.
Figure figure(const Metric& metric, const model::ThreadSched& thread, double seconds);

}  // namespace epulse::alerts
