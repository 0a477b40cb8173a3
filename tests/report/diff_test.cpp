#include "tools/report/diff.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/report/sample.hpp"
#include "tools/report/rank_test.hpp"

namespace epulse::report {
namespace {

// Handlers around a mean, with the noise of a real one.
Summary recording(uint64_t handler_ns, size_t intervals, unsigned seed) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> noise(0, 0.15);
  Summary summary;
  for (size_t i = 1; i <= intervals; ++i) {
    const auto handler = static_cast<uint64_t>(static_cast<double>(handler_ns) * noise(random));
    const auto latency = static_cast<uint64_t>(5'000 * noise(random));
    summary.on_interval(sample_interval(i, latency, handler), kSampleNames);
  }
  return summary;
}

const Difference& metric(const std::vector<Difference>& differences, std::string_view name) {
  for (const Difference& difference : differences) {
    if (difference.metric == name) return difference;
  }
  throw std::out_of_range(std::string(name));
}

TEST(Diff, WhatMovedIsFoundAndNothingElse) {
  const auto differences = compare(recording(100'000, 30, 1), recording(150'000, 30, 2));
  EXPECT_EQ(metric(differences, "handler p99").change, Change::kBeyondNoise);
  EXPECT_NEAR(metric(differences, "handler p99").ratio(), 1.5, 0.15);
  EXPECT_GT(metric(differences, "handler p50").deviations, kDeviationsMin);
  for (const Difference& difference : differences) {
    if (difference.metric.starts_with("handler")) continue;
    EXPECT_EQ(difference.change, Change::kNone) << difference.metric;
  }
}

// Twenty pairs of equal recordings: chance alone moves nothing.
TEST(Diff, EqualRecordingsDoNotMove) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    for (const Difference& difference :
         compare(recording(100'000, 40, 2 * seed), recording(100'000, 40, 2 * seed + 1))) {
      EXPECT_EQ(difference.change, Change::kNone) << difference.metric << " " << seed;
    }
  }
}

TEST(Diff, FewIntervalsGiveNoVerdict) {
  const auto differences = compare(recording(100'000, 7, 1), recording(900'000, 7, 2));
  EXPECT_EQ(metric(differences, "handler p99").change, Change::kTooFewLooks);
}

// A steady difference that no histogram can tell from none.
TEST(Diff, OneSlotIsNoMove) {
  Summary before;
  Summary after;
  for (uint64_t i = 1; i <= 30; ++i) {
    before.on_interval(sample_interval(i, 5'000, 100'000), kSampleNames);
    after.on_interval(sample_interval(i, 5'000, 104'000), kSampleNames);
  }
  EXPECT_EQ(metric(compare(before, after), "handler p50").change, Change::kNone);
}

TEST(Diff, SaysWhatMoved) {
  const auto differences = compare(recording(100'000, 30, 1), recording(250'000, 30, 2));
  EXPECT_TRUE(any_moved(differences));
  testing::internal::CaptureStdout();
  print_differences(differences);
  std::fflush(stdout);
  const std::string text = testing::internal::GetCapturedStdout();
  EXPECT_NE(text.find("\nmoved beyond noise: handler p50 +"), std::string::npos) << text;
}

TEST(RankTest, AgreesWithATable) {
  // Ten values each, none equal, all of b above all of a: U = 100, sigma = sqrt(10*10*21/12).
  const std::vector<double> low{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const std::vector<double> high{11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
  EXPECT_NEAR(rank_deviation(low, high), 3.7796, 1e-4);
  EXPECT_NEAR(rank_deviation(high, low), -3.7796, 1e-4);
  // With ties, by hand: b has the ranks 3, 5, 6.5, 6.5; the ties are three 2 and two 4.
  EXPECT_NEAR(rank_deviation({1, 2, 2}, {2, 3, 4, 4}), (21 - 10 - 6) / std::sqrt(8 - 30.0 / 42),
              1e-9);
  EXPECT_EQ(rank_deviation({5, 5, 5}, {5, 5}), 0);
  EXPECT_EQ(rank_deviation({}, {1}), 0);
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
}

}  // namespace
}  // namespace epulse::report
