#include "agent/model/overhead_budget.hpp"

#include <gtest/gtest.h>

#include <array>

namespace epulse::model {
namespace {

using Interval = OverheadBudget::Interval;

constexpr Interval kCounting{false, false};
constexpr Interval kDetailed{true, false};
constexpr Interval kMeasured{true, true};

TEST(OverheadBudget, MeasuresTheFirstIntervalAndThenOneInTen) {
  OverheadBudget budget;
  EXPECT_EQ(budget.next({}, 0.01), kMeasured);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(budget.next(ProbeCost{0.002, 0.007}, 0.01), kDetailed);
    for (int i = 0; i < 8; ++i) EXPECT_EQ(budget.next({}, 0.01), kDetailed);
    EXPECT_EQ(budget.next({}, 0.01), kMeasured);
  }
  EXPECT_EQ(budget.detail_one_in(), 1U);
}

TEST(OverheadBudget, LeavesTheDetailOutOfAsManyIntervalsAsItTakes) {
  OverheadBudget budget;
  budget.next({}, 0.01);
  // 0.2 % for counting leaves 0.8 % for what costs 3.9 %: one in five.
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(budget.next(ProbeCost{0.002, 0.039}, 0.01), kCounting);
    EXPECT_EQ(budget.detail_one_in(), 5U);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(budget.next({}, 0.01), kCounting);
    EXPECT_EQ(budget.next({}, 0.01), kMeasured);
  }
}

TEST(OverheadBudget, KeepsWithinItOverAnyNumberOfCosts) {
  for (const double counting : {0.0, 0.001, 0.0099}) {
    for (const double detail : {0.0, 0.0001, 0.0091, 0.0101, 0.03, 0.5}) {
      OverheadBudget budget;
      std::optional<ProbeCost> cost;
      double spent = 0;
      const int intervals = 6000;
      for (int i = 0; i < intervals; ++i) {
        const Interval interval = budget.next(cost, 0.01);
        spent += counting + (interval.detail ? detail : 0);
        cost.reset();
        if (interval.measured) cost = ProbeCost{counting, detail};
      }
      const double least = counting + detail / 60;  // one minute in an hour is seen in any case
      EXPECT_LE(spent / intervals, std::max(0.01, least) * 1.02) << counting << " " << detail;
    }
  }
}

TEST(OverheadBudget, EverythingIsBackOnceItCostsLess) {
  OverheadBudget budget;
  budget.next({}, 0.01);
  EXPECT_EQ(budget.next(ProbeCost{0, 0.02}, 0.01), kCounting);
  EXPECT_EQ(budget.next({}, 0.01), kMeasured);
  EXPECT_EQ(budget.next(ProbeCost{0, 0.01}, 0.01), kDetailed);
  EXPECT_EQ(budget.detail_one_in(), 1U);
}

TEST(OverheadBudget, WhereCountingAloneIsOverSomethingIsSeenAllTheSame) {
  OverheadBudget budget;
  budget.next({}, 0.01);
  budget.next(ProbeCost{0.03, 0.05}, 0.01);
  EXPECT_EQ(budget.detail_one_in(), 60U);
}

TEST(OverheadBudget, NoBudgetNoLimit) {
  OverheadBudget budget;
  budget.next({}, 0);
  EXPECT_EQ(budget.next(ProbeCost{0.5, 0.5}, 0), kDetailed);
}

TEST(Overhead, Text) {
  Overhead overhead;
  EXPECT_EQ(text_of(overhead), "");
  overhead.cost = ProbeCost{0.001, 0.0033};
  EXPECT_EQ(text_of(overhead), "0.43 % of a CPU, no budget");
  overhead.budget = 0.01;
  EXPECT_EQ(text_of(overhead), "0.43 % of a CPU, budget 1 %");
  overhead.cost = ProbeCost{0.012, 0.03};
  overhead.detail_one_in = 60;
  EXPECT_EQ(text_of(overhead),
            "4.20 % of a CPU, budget 1 %: over, so queue depth, stages and blame are measured in "
            "one interval of 60; waits, events and batches are counted in all, which alone costs "
            "1.20 %");
  overhead.unmeasured = "no such file";
  EXPECT_EQ(text_of(overhead), "cost unknown, so no budget is kept: no such file");
  overhead.no_detail = "out of memory";
  EXPECT_EQ(text_of(overhead),
            "waits, events and batches are counted, and nothing else measured: out of memory");
}

}  // namespace
}  // namespace epulse::model
