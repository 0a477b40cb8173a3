#include "agent/model/overhead_budget.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace epulse::model {
namespace {

using Interval = OverheadBudget::Interval;

constexpr double kBudget = 0.01;
constexpr Interval kCounting{false, false};
constexpr Interval kCountingTimed{false, true};
constexpr Interval kDetailed{true, false};
constexpr Interval kDetailedTimed{true, true};

TEST(OverheadBudget, TimesTheFirstIntervalAndThenOneInThirty) {
  OverheadBudget budget;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(budget.next(0.009, kBudget), kDetailed);
    for (int i = 0; i < 28; ++i) EXPECT_EQ(budget.next({}, kBudget), kDetailed) << i;
    EXPECT_EQ(budget.next({}, kBudget), kDetailedTimed);
  }
  EXPECT_EQ(budget.detail_one_in(), 1U);
}

TEST(OverheadBudget, LeavesTheDetailOutOfAsManyIntervalsAsItTakes) {
  OverheadBudget budget;
  // Counting alone is seen next: 0.2 % leaves 0.8 % for the other 3.9 %, so one in five.
  EXPECT_EQ(budget.next(0.041, kBudget), kCountingTimed);
  EXPECT_EQ(budget.next(0.002, kBudget), kCounting);
  EXPECT_EQ(budget.detail_one_in(), 5U);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(budget.next({}, kBudget), kCounting);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(budget.next({}, kBudget), kDetailed);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(budget.next({}, kBudget), kCounting);
  }
}

// What a run of intervals costs, as the probe would be told.
struct Outcome {
  double mean = 0;
  int timed = 0;
  int detailed = 0;
};

Outcome run(OverheadBudget& budget, double counting, double detail, int intervals,
            bool always_timed) {
  Outcome result;
  Interval interval;
  for (int i = 0; i < intervals; ++i) {
    const double cost = counting + (interval.detail ? detail : 0);
    result.mean += cost / intervals;
    result.timed += interval.timed ? 1 : 0;
    result.detailed += interval.detail ? 1 : 0;
    interval =
        budget.next(interval.timed || always_timed ? std::optional(cost) : std::nullopt, kBudget);
  }
  return result;
}

TEST(OverheadBudget, KeepsWithinItWhateverThingsCost) {
  constexpr int kIntervals = 6000;
  for (const bool always_timed : {false, true}) {
    for (const double counting : {0.0, 0.001, 0.0099, 0.02}) {
      for (const double detail : {0.0, 0.0001, 0.0091, 0.0101, 0.03, 0.5}) {
        OverheadBudget budget;
        const Outcome result = run(budget, counting, detail, kIntervals, always_timed);
        const double least = counting + detail / 60;  // so much is seen in any case
        EXPECT_LE(result.mean, std::max(kBudget, least) * 1.02) << counting << " " << detail;
        EXPECT_GE(result.detailed, kIntervals / 60) << counting << " " << detail;
        EXPECT_LE(result.timed, 2 + kIntervals / 15) << counting << " " << detail;
      }
    }
  }
}

TEST(OverheadBudget, EverythingIsBackOnceItCostsLess) {
  OverheadBudget budget;
  run(budget, 0.001, 0.03, 60, false);
  EXPECT_GT(budget.detail_one_in(), 1U);
  run(budget, 0.001, 0.002, 120, false);
  EXPECT_EQ(budget.detail_one_in(), 1U);
}

TEST(OverheadBudget, NoBudgetNoLimit) {
  OverheadBudget budget;
  EXPECT_EQ(budget.next(0.5, 0), kDetailed);
  EXPECT_EQ(budget.detail_one_in(), 1U);
}

TEST(Overhead, Text) {
  Overhead overhead;
  EXPECT_EQ(text_of(overhead), "");
  overhead.full_cost = 0.0043;
  EXPECT_EQ(text_of(overhead), "0.43 % of a CPU, no budget");
  overhead.budget = 0.01;
  EXPECT_EQ(text_of(overhead), "0.43 % of a CPU, budget 1 %");
  overhead.full_cost = 0.042;
  overhead.least_cost = 0.012;
  overhead.detail_one_in = 60;
  EXPECT_EQ(text_of(overhead),
            "4.20 % of a CPU, budget 1 %: over, so queue depth, stages and blame are measured in "
            "one interval of 60; waits, events and batches are counted in all, for 1.20 %");
  overhead.unmeasured = "no such file";
  EXPECT_EQ(text_of(overhead), "cost unknown, so no budget is kept: no such file");
}

}  // namespace
}  // namespace epulse::model
