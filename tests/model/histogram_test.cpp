#include "agent/model/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace epulse::model {
namespace {

TEST(Histogram, SlotsTileTheRange) {
  for (const HistogramShape shape : {kNsShape, kItemsShape}) {
    for (uint32_t slot = 0; slot + 1 < shape.slots(); ++slot) {
      const uint64_t low = shape.low(slot);
      const uint64_t next = shape.low(slot + 1);
      ASSERT_LT(low, next);
      ASSERT_EQ(epulse_hist_slot(low, shape.exact_bits, shape.max_bits), slot);
      ASSERT_EQ(epulse_hist_slot(next - 1, shape.exact_bits, shape.max_bits), slot);
    }
    EXPECT_EQ(epulse_hist_slot(~0ULL, shape.exact_bits, shape.max_bits), shape.slots() - 1);
  }
}

TEST(Histogram, SmallNumbersOfItemsAreExact) {
  Histogram histogram(kItemsShape);
  for (uint64_t items = 0; items < 1024; ++items) histogram.record(items);
  EXPECT_EQ(histogram.quantile(0), 0U);
  EXPECT_EQ(histogram.quantile(0.5), 511U);
  EXPECT_EQ(histogram.quantile(1), 1023U);
}

TEST(Histogram, QuantilesAreWithinTheStatedError) {
  std::mt19937_64 random(4711);
  std::lognormal_distribution<double> latency(10, 2);
  std::vector<uint64_t> values;
  Histogram histogram(kNsShape);
  for (int i = 0; i < 100'000; ++i) {
    values.push_back(static_cast<uint64_t>(latency(random)));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.01, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
    const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(values.size())));
    const auto exact = static_cast<double>(values[rank - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.quantile(q)), exact, exact * 0.0313 + 1) << q;
  }
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(Histogram, BeyondTheRangeOnlyTheMaximumIsExact) {
  Histogram histogram(kNsShape);
  histogram.record(1ULL << 40);
  EXPECT_EQ(histogram.quantile(0.5), 1ULL << 40);
  EXPECT_EQ(histogram.max(), 1ULL << 40);
}

TEST(Histogram, SinceGivesWhatCameInBetween) {
  Histogram earlier(kItemsShape);
  earlier.record(900);
  Histogram later = earlier;
  later.record(7, 3);
  Histogram change = later.since(earlier);
  EXPECT_EQ(change.count(), 3U);
  EXPECT_EQ(change.sum(), 21U);
  EXPECT_EQ(change.max(), 7U) << "the old maximum is not of this interval";
  later.record(901);
  change = later.since(earlier);
  EXPECT_EQ(change.max(), 901U);
}

TEST(Histogram, EmptyHasNoFigures) {
  const Histogram histogram(kNsShape);
  EXPECT_EQ(histogram.quantile(0.99), 0U);
  EXPECT_EQ(histogram.mean(), 0);
}

// The kernel had filled a slot, and was yet to count it, when the first reader came.
TEST(Histogram, AReaderBetweenTwoWritesLosesNothing) {
  std::vector<__u64> slots(kNsShape.slots());
  slots[5] = 3;
  const Histogram first = Histogram::live(kNsShape, 10, 5, slots.data());
  slots[7] = 1;
  Histogram total = first;
  total.merge(Histogram::live(kNsShape, 22, 7, slots.data()).since(first));
  EXPECT_EQ(first.count(), 3U);
  EXPECT_EQ(total.count(), 4U);
  EXPECT_EQ(total.sum(), 22U);
}

}  // namespace
}  // namespace epulse::model
