#include "agent/model/stall_watch.hpp"

#include <gtest/gtest.h>

namespace epulse::model {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kLoop = 0xffff8881;
constexpr uint64_t kOther = 0xffff8882;

using Ids = std::set<uint64_t>;

// Seconds for which each of these loops has stalled, by look after look, one a second.
class Watched {
 public:
  std::vector<LoopStall> after_a_second(const std::vector<LoopLook>& found, const Ids& active) {
    now_ns_ += kSecond;
    if (watch_.wants_look(active, now_ns_)) {
      ++looks;
      watch_.look(found, active, now_ns_);
    }
    return watch_.stalls(active, now_ns_);
  }
  int looks = 0;

 private:
  StallWatch watch_;
  uint64_t now_ns_ = 100 * kSecond;
};

LoopLook stuck(uint64_t id, int depth = 801) {
  return {id, 9, depth, 0};
}

TEST(StallWatch, CountsTheTimeWithoutAWaitWhileItemsAreReady) {
  Watched watched;
  EXPECT_EQ(watched.after_a_second({{kLoop, 9, 3, 0}}, {kLoop}).at(0).seconds, 0) << "it turns";
  double seconds = 0;
  for (int i = 0; i < 10; ++i) seconds = watched.after_a_second({stuck(kLoop)}, {}).at(0).seconds;
  EXPECT_GE(seconds, 8);
  EXPECT_LE(seconds, 9);
  EXPECT_EQ(watched.after_a_second({stuck(kLoop)}, {}).at(0).depth, 801);
  EXPECT_EQ(watched.after_a_second({stuck(kLoop)}, {kLoop}).at(0).seconds, 0) << "it turns again";
}

TEST(StallWatch, AnIdleLoopIsWell) {
  Watched watched;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(watched.after_a_second({{kLoop, 9, 0, 1}}, {}).at(0).seconds, 0);
  }
  EXPECT_EQ(watched.looks, 5) << "every other second";
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(watched.after_a_second({{kLoop, 9, 4, 1}}, {}).at(0).seconds, 0) << "being woken";
    EXPECT_EQ(watched.after_a_second({{kLoop, 9, -1, 0}}, {}).at(0).seconds, 0) << "being scanned";
  }
}

TEST(StallWatch, LoopsThatAllTurnAreNotLookedAt) {
  Watched watched;
  for (int i = 0; i < 10; ++i) watched.after_a_second({{kLoop, 9, 0, 0}}, {kLoop});
  EXPECT_EQ(watched.looks, 1);
}

// An instance that the program does not use any more, beside one that it does.
TEST(StallWatch, WhatNeverTurnedCountsOnlyWhileNothingTurns) {
  Watched watched;
  double seconds = 0;
  for (int i = 0; i < 6; ++i) {
    seconds = watched.after_a_second({stuck(kLoop), {kOther, 5, 0, 0}}, {kOther}).at(0).seconds;
    EXPECT_EQ(seconds, 0);
  }
  Watched from_the_start;
  for (int i = 0; i < 6; ++i)
    seconds = from_the_start.after_a_second({stuck(kLoop)}, {}).at(0).seconds;
  EXPECT_GE(seconds, 4) << "stuck already when we came";
}

TEST(StallWatch, AClosedInstanceIsForgotten) {
  Watched watched;
  watched.after_a_second({stuck(kLoop)}, {});
  watched.after_a_second({}, {});
  watched.after_a_second({}, {});
  EXPECT_TRUE(watched.after_a_second({}, {}).empty());
  for (int i = 0; i < 3; ++i) {
    EXPECT_LE(watched.after_a_second({stuck(kLoop)}, {}).at(0).seconds, 2)
        << "another of that address";
  }
}

}  // namespace
}  // namespace epulse::model
