#include "tools/report/diff.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <optional>

#include "agent/model/text.hpp"
#include "tools/report/rank_test.hpp"

namespace epulse::report {
namespace {

using Look = std::function<std::optional<double>(const TimelineColumn&)>;

struct Metric {
  std::string_view name;
  bool duration;
  Look look;
};

Look per_second(std::function<uint64_t(const model::WorkerStats&)> count) {
  return [count = std::move(count)](const TimelineColumn& column) -> std::optional<double> {
    if (column.measured_ns == 0) return {};
    return static_cast<double>(count(column.all)) / column.seconds();
  };
}

Look stage_quantile(epoll_stage stage, double q) {
  return [=](const TimelineColumn& column) -> std::optional<double> {
    const model::Histogram& histogram = column.all.stages[stage];
    if (histogram.count() == 0) return {};
    return static_cast<double>(histogram.quantile(q));
  };
}

Look items_quantile(epoll_items items, double q) {
  return [=](const TimelineColumn& column) -> std::optional<double> {
    const model::Histogram& histogram = column.all.items[items];
    if (histogram.count() == 0) return {};
    return static_cast<double>(histogram.quantile(q));
  };
}

const std::array<Metric, 17>& metrics() {
  static const std::array<Metric, 17> all{{
      {"waits/s", false, per_second([](const auto& stats) { return stats.waits(); })},
      {"events/s", false, per_second([](const auto& stats) { return stats.events(); })},
      {"empty wake-ups/s", false,
       per_second([](const auto& stats) { return stats.counters[EPOLL_COUNTER_EMPTY_WAKEUPS]; })},
      {"depth p50", false, items_quantile(EPOLL_ITEMS_LISTED, 0.5)},
      {"depth p99", false, items_quantile(EPOLL_ITEMS_LISTED, 0.99)},
      {"backlog left p99", false, items_quantile(EPOLL_ITEMS_LEFT, 0.99)},
      {"batch p50", false, items_quantile(EPOLL_ITEMS_BATCH, 0.5)},
      {"ready to woken p50", true, stage_quantile(EPOLL_STAGE_READY_TO_WOKEN, 0.5)},
      {"ready to woken p99", true, stage_quantile(EPOLL_STAGE_READY_TO_WOKEN, 0.99)},
      {"woken to running p50", true, stage_quantile(EPOLL_STAGE_WOKEN_TO_RUNNING, 0.5)},
      {"woken to running p99", true, stage_quantile(EPOLL_STAGE_WOKEN_TO_RUNNING, 0.99)},
      {"running to delivered p50", true, stage_quantile(EPOLL_STAGE_RUNNING_TO_DELIVERED, 0.5)},
      {"running to delivered p99", true, stage_quantile(EPOLL_STAGE_RUNNING_TO_DELIVERED, 0.99)},
      {"ready to delivered p50", true, stage_quantile(EPOLL_STAGE_READY_TO_DELIVERED, 0.5)},
      {"ready to delivered p99", true, stage_quantile(EPOLL_STAGE_READY_TO_DELIVERED, 0.99)},
      {"handler p50", true, stage_quantile(EPOLL_STAGE_HANDLER, 0.5)},
      {"handler p99", true, stage_quantile(EPOLL_STAGE_HANDLER, 0.99)},
  }};
  return all;
}

std::vector<double> looks_at(const Timeline& timeline, const Look& look) {
  std::vector<double> values;
  for (const TimelineColumn& column : timeline.columns()) {
    if (const auto value = look(column)) values.push_back(*value);
  }
  return values;
}

Change judge(const Difference& difference) {
  if (std::min(difference.looks_before, difference.looks_after) < kLooksMin) {
    return Change::kTooFewLooks;
  }
  const double low = std::min(difference.before, difference.after);
  const double high = std::max(difference.before, difference.after);
  const bool large = high > low * kRatioMin;
  return large && std::abs(difference.deviations) >= kDeviationsMin ? Change::kBeyondNoise
                                                                    : Change::kNone;
}

std::string value_text(const Difference& difference, double value) {
  return difference.duration ? model::duration_text(static_cast<uint64_t>(value))
                             : model::count_text(value);
}

std::string change_text(const Difference& difference) {
  if (difference.before == difference.after) return "=";
  if (difference.before == 0) return "new";
  const double percent = 100 * (difference.ratio() - 1);
  // A tail that is a hundred times as long reads better as a factor.
  return percent > 999 ? fmt::format("x{:.0f}", difference.ratio())
                       : fmt::format("{:+.0f} %", percent);
}

std::string verdict_text(const Difference& difference) {
  switch (difference.change) {
    case Change::kNone:
      return "within noise";
    case Change::kBeyondNoise:
      return "moved";
    case Change::kTooFewLooks:
      return "too few intervals to tell";
  }
  return {};
}

}  // namespace

std::vector<Difference> compare(const Summary& before, const Summary& after) {
  std::vector<Difference> differences;
  for (const Metric& metric : metrics()) {
    const std::vector<double> old_looks = looks_at(before.timeline(), metric.look);
    const std::vector<double> new_looks = looks_at(after.timeline(), metric.look);
    if (old_looks.empty() && new_looks.empty()) continue;
    Difference& difference = differences.emplace_back();
    difference.metric = metric.name;
    difference.duration = metric.duration;
    difference.before = median(old_looks);
    difference.after = median(new_looks);
    difference.looks_before = old_looks.size();
    difference.looks_after = new_looks.size();
    difference.deviations = rank_deviation(old_looks, new_looks);
    difference.change = judge(difference);
  }
  return differences;
}

bool any_moved(const std::vector<Difference>& differences) {
  return std::any_of(differences.begin(), differences.end(), [](const Difference& difference) {
    return difference.change == Change::kBeyondNoise;
  });
}

void print_differences(const std::vector<Difference>& differences) {
  fmt::print("{:26} {:>10} {:>10} {:>9} {:>7}\n", "median of the intervals", "before", "after",
             "change", "z");
  std::string moved;
  bool too_few = false;
  for (const Difference& difference : differences) {
    fmt::print("{:26} {:>10} {:>10} {:>9} {:>+7.1f}  {}\n", difference.metric,
               value_text(difference, difference.before), value_text(difference, difference.after),
               change_text(difference), difference.deviations, verdict_text(difference));
    too_few |= difference.change == Change::kTooFewLooks;
    if (difference.change != Change::kBeyondNoise) continue;
    moved += fmt::format("{}{} {}", moved.empty() ? "" : ", ", difference.metric,
                         change_text(difference));
  }
  if (!moved.empty()) {
    fmt::print("\nmoved beyond noise: {}\n", moved);
  } else if (too_few) {
    fmt::print("\nno verdict: {} intervals each are needed; record longer, or with a shorter -I\n",
               kLooksMin);
  } else {
    fmt::print("\nnothing moved beyond noise\n");
  }
}

}  // namespace epulse::report
