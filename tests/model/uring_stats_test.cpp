#include "agent/model/uring_stats.hpp"

#include <gtest/gtest.h>

namespace epulse::model {
namespace {

RingUserStats user(uint32_t tid, uint64_t submissions, uint64_t reaped) {
  RingUserStats stats;
  stats.key = {0x1000, tid, 1};
  stats.counters[URING_COUNTER_SUBMISSIONS] = submissions;
  stats.items[URING_ITEMS_REAPED].record(reaped);
  return stats;
}

TEST(UringIntervals, AreTheDifferencesAndTheTotalTheirSum) {
  UringIntervals intervals(100);
  UringTotal total;
  UringSnapshot first{.time_ns = 200, .duration_ns = 100, .users = {user(1, 7, 2)}, .losses = {}};
  total.add(intervals.advance(first));
  UringSnapshot second = first;
  second.time_ns = 350;
  second.losses.rings_dropped = 3;
  second.users[0].counters[URING_COUNTER_SUBMISSIONS] = 20;
  second.users[0].items[URING_ITEMS_REAPED].record(5);
  const UringSnapshot interval = intervals.advance(second);
  EXPECT_EQ(interval.duration_ns, 150U);
  EXPECT_EQ(interval.losses.rings_dropped, 3U);
  ASSERT_EQ(interval.users.size(), 1U);
  EXPECT_EQ(interval.users[0].counters[URING_COUNTER_SUBMISSIONS], 13U);
  EXPECT_EQ(interval.users[0].items[URING_ITEMS_REAPED].sum(), 5U);
  total.add(interval);
  ASSERT_EQ(total.total().users.size(), 1U);
  EXPECT_EQ(total.total().users[0].counters[URING_COUNTER_SUBMISSIONS], 20U);
  EXPECT_EQ(total.total().users[0].items[URING_ITEMS_REAPED].sum(), 7U);
  EXPECT_EQ(total.total().duration_ns, 250U);
  EXPECT_TRUE(total.total().losses.any());
}

TEST(UringIntervals, AReusedSlotIsAnotherUser) {
  UringIntervals intervals(0);
  UringSnapshot snapshot{.time_ns = 1, .duration_ns = 1, .users = {user(1, 7, 1)}, .losses = {}};
  intervals.advance(snapshot);
  snapshot.users[0].key.first_seen_ns = 2;
  snapshot.users[0].counters[URING_COUNTER_SUBMISSIONS] = 2;
  EXPECT_EQ(intervals.advance(snapshot).users[0].counters[URING_COUNTER_SUBMISSIONS], 2U);
}

TEST(RingUserStats, IsActiveWhenAnythingHappened) {
  RingUserStats stats;
  EXPECT_FALSE(stats.active());
  stats.counters[URING_COUNTER_OVERFLOWS] = 1;
  EXPECT_TRUE(stats.active());
}

TEST(RingMode, NamesWhoDoesTheWork) {
  EXPECT_EQ(ring_mode(0), "-");
  EXPECT_EQ(ring_mode(1U << 1), "SQPOLL");
  EXPECT_EQ(ring_mode(1U << 12 | 1U << 13), "DEFER_TASKRUN");
  EXPECT_EQ(ring_mode(1U | 1U << 1), "IOPOLL,SQPOLL");
}

}  // namespace
}  // namespace epulse::model
