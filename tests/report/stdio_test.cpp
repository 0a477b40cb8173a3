#include <gtest/gtest.h>

#include <limits>

#include "tools/report/stdio.hpp"

namespace epulse::report {
namespace {

constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();

// What is printed of a worker that waited once and has this "handler" histogram.
std::string report(const model::Histogram& handler) {
  model::EpollSnapshot interval;
  model::WorkerStats& worker = interval.workers.emplace_back();
  worker.counters[EPOLL_COUNTER_WAITS] = 1;
  worker.stages[EPOLL_STAGE_HANDLER] = handler;
  Summary summary;
  summary.on_interval(interval, {});
  testing::internal::CaptureStdout();
  print_report(summary, {});
  std::fflush(stdout);
  return testing::internal::GetCapturedStdout();
}

// No probe counts so, but a file may say it. It divided by zero.
TEST(Stdio, ACountWithoutSlotsHasNoBars) {
  const std::vector<__u64> slots(model::kNsShape.slots());
  const std::string text = report(model::Histogram(model::kNsShape, 1, 500, 500, slots.data()));
  EXPECT_NE(text.find("500ns"), std::string::npos) << text;
  EXPECT_EQ(text.find("->"), std::string::npos) << text;
}

// As a double the mean would be 2^64, which no uint64_t holds.
TEST(Stdio, AMeanOfTheLargestSum) {
  std::vector<__u64> slots(model::kNsShape.slots());
  slots.back() = 1;
  const std::string text = report(model::Histogram(model::kNsShape, 1, kMost, kMost, slots.data()));
  EXPECT_NE(text.find(" 18446744074s "), std::string::npos) << text;
}

// 40 times the largest slot does not fit either.
TEST(Stdio, TheFullestOctaveHasTheLongestBar) {
  std::vector<__u64> slots(model::kNsShape.slots());
  slots[5] = kMost;
  slots[1] = kMost / 2;
  const std::string text = report(model::Histogram(model::kNsShape, 1, 5, 5, slots.data()));
  EXPECT_NE(text.find('|' + std::string(40, '*') + '|'), std::string::npos) << text;
  EXPECT_NE(text.find('|' + std::string(20, '*') + ' '), std::string::npos) << text;
}

}  // namespace
}  // namespace epulse::report
