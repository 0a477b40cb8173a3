#include "agent/model/epoll_stats.hpp"

#include <gtest/gtest.h>

#include "agent/model/verdict.hpp"

namespace epulse::model {
namespace {

WorkerStats worker(uint32_t tid, uint64_t first_seen_ns, uint64_t deliveries) {
  WorkerStats stats;
  stats.key = {0xffff0000, tid, 5, first_seen_ns};
  stats.counters[EPOLL_COUNTER_WAITS] = deliveries;
  stats.counters[EPOLL_COUNTER_DELIVERIES] = deliveries;
  stats.items[EPOLL_ITEMS_BATCH].record(2, deliveries);
  return stats;
}

EpollSnapshot snapshot(uint64_t time_ns, std::vector<WorkerStats> workers, uint64_t dropped = 0) {
  EpollSnapshot result;
  result.time_ns = time_ns;
  result.workers = std::move(workers);
  result.losses.waits_dropped = dropped;
  return result;
}

TEST(EpollIntervals, GiveDifferences) {
  EpollIntervals intervals(100);
  EpollSnapshot interval = intervals.advance(snapshot(200, {worker(1, 10, 5)}, 3));
  EXPECT_EQ(interval.duration_ns, 100U);
  EXPECT_EQ(interval.workers.at(0).waits(), 5U);
  EXPECT_EQ(interval.losses.waits_dropped, 3U);
  interval = intervals.advance(snapshot(260, {worker(1, 10, 12)}, 4));
  EXPECT_EQ(interval.duration_ns, 60U);
  EXPECT_EQ(interval.workers.at(0).waits(), 7U);
  EXPECT_EQ(interval.workers.at(0).events(), 14U);
  EXPECT_EQ(interval.losses.waits_dropped, 1U);
}

TEST(EpollIntervals, AReusedThreadIdStartsFromNothing) {
  EpollIntervals intervals(0);
  intervals.advance(snapshot(1, {worker(1, 10, 100)}));
  const EpollSnapshot interval = intervals.advance(snapshot(2, {worker(1, 99, 4)}));
  EXPECT_EQ(interval.workers.at(0).waits(), 4U);
}

TEST(EpollTotal, KeepsWorkersThatEnded) {
  EpollIntervals intervals(0);
  EpollTotal total;
  total.add(intervals.advance(snapshot(10, {worker(1, 1, 5), worker(2, 2, 7)})));
  total.add(intervals.advance(snapshot(20, {worker(2, 2, 9)})));
  ASSERT_EQ(total.total().workers.size(), 2U);
  EXPECT_EQ(total.total().workers[0].waits(), 5U);
  EXPECT_EQ(total.total().workers[1].waits(), 9U);
  EXPECT_EQ(total.total().duration_ns, 20U);
}

TEST(EpollTotal, CountsTheWaitsOfWorkersThatItHasNoRoomFor) {
  EpollTotal total;
  for (uint32_t tid = 1; tid <= EpollTotal::kWorkersMax + 3; ++tid) {
    total.add(snapshot(tid, {worker(1, tid, 7)}));
  }
  EXPECT_EQ(total.total().workers.size(), EpollTotal::kWorkersMax);
  EXPECT_EQ(total.total().losses.workers_dropped, 21U);
}

TEST(Verdict, NamesWhoTakesTheTime) {
  WorkerStats stats = worker(1, 1, 10);
  EXPECT_EQ(verdict(WorkerStats{}), "idle");
  stats.stages[EPOLL_STAGE_WOKEN_TO_RUNNING].record(4'000'000, 10);
  stats.stages[EPOLL_STAGE_HANDLER].record(10'000, 10);
  EXPECT_TRUE(verdict(stats).starts_with("scheduler 100 %")) << verdict(stats);
  stats.stages[EPOLL_STAGE_HANDLER].record(90'000'000, 10);
  EXPECT_TRUE(verdict(stats).starts_with("application 96 %")) << verdict(stats);
}

}  // namespace
}  // namespace epulse::model
