#include "tools/report/timeline.hpp"

#include <gtest/gtest.h>

#include "tests/report/sample.hpp"

namespace epulse::report {
namespace {

TEST(Timeline, KeepsEverythingInFewColumns) {
  Timeline timeline;
  for (uint64_t second = 1; second <= 1000; ++second) {
    timeline.add(sample_interval(second, 5'000, 10'000));
  }
  EXPECT_LE(timeline.columns().size(), Timeline::kColumnsMax);
  EXPECT_GE(timeline.columns().size(), Timeline::kColumnsMax / 2);
  uint64_t waits = 0;
  uint64_t last_ns = 0;
  for (const TimelineColumn& column : timeline.columns()) {
    waits += column.all.waits();
    EXPECT_EQ(column.from_ns, last_ns) << "no gap, nothing twice";
    last_ns = column.to_ns;
  }
  EXPECT_EQ(waits, 1'000'000U);
  EXPECT_EQ(last_ns, 1000 * kSecond);
  EXPECT_EQ(timeline.in_columns(24).size(), 21U);
}

TEST(Timeline, AMissingIntervalIsAGap) {
  Timeline timeline;
  timeline.add(sample_interval(1, 5'000, 10'000));
  timeline.add(sample_interval(5, 5'000, 10'000));
  EXPECT_EQ(timeline.columns()[0].to_ns, kSecond);
  EXPECT_EQ(timeline.columns()[1].from_ns, 4 * kSecond);
  const TimelineColumn whole = timeline.in_columns(1)[0];
  EXPECT_EQ(whole.to_ns - whole.from_ns, 5 * kSecond);
  EXPECT_EQ(whole.measured_ns, 2 * kSecond);
}

TEST(Timeline, AnEmptyOneHasNoColumns) {
  EXPECT_TRUE(Timeline().in_columns(24).empty());
}

}  // namespace
}  // namespace epulse::report
