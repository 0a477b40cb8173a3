#include "server/session/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace epulse::server {
namespace {

constexpr std::uint64_t kTick = 250;
constexpr std::size_t kAll = 1'000'000;

class Wheel : public testing::Test {
 protected:
  // Advances tick by tick to `now`; who was due, with the time it was called at.
  std::multimap<std::uint32_t, std::uint64_t> run_to(std::uint64_t now) {
    std::multimap<std::uint32_t, std::uint64_t> called;
    for (; now_ < now; now_ += kTick) {
      wheel_.advance(now_ + kTick, kAll,
                     [&](std::uint32_t user) { called.emplace(user, now_ + kTick); });
    }
    return called;
  }

  std::uint64_t now_ = 1'000'000;
  TimerWheel wheel_{kTick, 8, now_};
};

TEST_F(Wheel, CallsAtTheTimeOrATickLater) {
  wheel_.set(1, now_ + 1);
  wheel_.set(2, now_ + kTick);
  wheel_.set(3, now_ + kTick + 1);
  wheel_.set(4, now_ + 6 * kTick);
  const std::uint64_t start = now_;
  const auto called = run_to(now_ + 10 * kTick);
  ASSERT_EQ(called.size(), 4U);
  EXPECT_EQ(called.find(1)->second, start + kTick);
  EXPECT_EQ(called.find(2)->second, start + kTick);
  EXPECT_EQ(called.find(3)->second, start + 2 * kTick);
  EXPECT_EQ(called.find(4)->second, start + 6 * kTick);
}

TEST_F(Wheel, ATimeThatHasPassedComesWithTheNextTick) {
  wheel_.set(1, now_ - 10 * kTick);
  const std::uint64_t start = now_;
  const auto called = run_to(now_ + 2 * kTick);
  ASSERT_EQ(called.size(), 1U);
  EXPECT_EQ(called.begin()->second, start + kTick);
}

TEST_F(Wheel, ATimeBeyondTheWheelIsAskedAboutEarlierAndKept) {
  const std::uint64_t due = now_ + 30 * kTick;
  std::vector<std::uint64_t> calls;
  std::uint64_t told = wheel_.set(1, due);
  for (int i = 0; i < 40; ++i) {
    now_ += kTick;
    wheel_.advance(now_, kAll, [&](std::uint32_t user) {
      EXPECT_EQ(now_, told);
      calls.push_back(now_);
      if (now_ < due) told = wheel_.set(user, due);
    });
  }
  ASSERT_FALSE(calls.empty());
  EXPECT_EQ(calls.back(), due);
  EXPECT_LE(calls.size(), 6U);  // once a turn of the wheel, not every tick
}

TEST_F(Wheel, ALoopThatWasHeldUpLosesNobody) {
  for (std::uint32_t i = 0; i < 7; ++i) wheel_.set(i, now_ + i * kTick);
  int calls = 0;
  wheel_.advance(now_ + 1000 * kTick, kAll, [&](std::uint32_t) { ++calls; });
  EXPECT_EQ(calls, 7);
}

TEST_F(Wheel, ASecondTimeTakesThePlaceOfTheFirst) {
  wheel_.set(1, now_ + 2 * kTick);
  wheel_.set(1, now_ + 5 * kTick);
  wheel_.set(2, now_ + 5 * kTick);
  wheel_.set(2, now_ + 3 * kTick);
  const std::uint64_t start = now_;
  const auto called = run_to(now_ + 20 * kTick);
  ASSERT_EQ(called.size(), 2U);
  EXPECT_EQ(called.find(1)->second, start + 5 * kTick);
  EXPECT_EQ(called.find(2)->second, start + 3 * kTick);
}

TEST_F(Wheel, AClearedOneIsNotCalledEvenIfItsTimeHasJustCome) {
  for (std::uint32_t user = 0; user < 4; ++user) wheel_.set(user, now_ + kTick);
  wheel_.clear(2);
  wheel_.clear(100);  // never seen
  std::vector<std::uint32_t> calls;
  wheel_.advance(now_ + kTick, kAll, [&](std::uint32_t user) {
    calls.push_back(user);
    wheel_.clear(1);
  });
  EXPECT_EQ(calls, (std::vector<std::uint32_t>{0, 3}));
}

TEST_F(Wheel, CallsAtMostSoManyAndTheRestNextTime) {
  for (std::uint32_t user = 0; user < 5; ++user) wheel_.set(user, now_ + user / 3 * kTick);
  std::vector<std::uint32_t> calls;
  const auto call = [&](std::uint32_t user) {
    calls.push_back(user);
    if (user == 0) wheel_.clear(2);  // which is left for the next time
    if (user == 1 && calls.size() == 2) wheel_.set(1, now_ + 6 * kTick);
  };
  now_ += 2 * kTick;
  EXPECT_TRUE(wheel_.advance(now_, 2, call));
  EXPECT_EQ(calls, (std::vector<std::uint32_t>{0, 1}));
  EXPECT_TRUE(wheel_.advance(now_, 1, call));
  EXPECT_EQ(calls, (std::vector<std::uint32_t>{0, 1, 3}));
  EXPECT_FALSE(wheel_.advance(now_, 1, call));
  EXPECT_EQ(calls, (std::vector<std::uint32_t>{0, 1, 3, 4}));
  EXPECT_FALSE(wheel_.advance(now_ + 10 * kTick, 1, call));
  EXPECT_EQ(calls.back(), 1U);
}

TEST_F(Wheel, NoneIsEverEarlyOrLostAmongMany) {
  std::mt19937 random(7);  // NOLINT(bugprone-random-generator-seed): the same in every run
  std::map<std::uint32_t, std::uint64_t> due;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    due[i] = now_ + random() % (50 * kTick);
    wheel_.set(i, due[i]);
  }
  while (!due.empty() && now_ < 1'000'000 + 60 * kTick) {
    now_ += kTick;
    wheel_.advance(now_, kAll, [&](std::uint32_t user) {
      if (due[user] > now_) {
        wheel_.set(user, due[user]);
        return;
      }
      EXPECT_LE(now_ - due[user], 2 * kTick);
      due.erase(user);
    });
  }
  EXPECT_TRUE(due.empty());
}

}  // namespace
}  // namespace epulse::server
