#include <fmt/format.h>
#include <sys/epoll.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "agent/probes/overhead_control.hpp"
#include "tests/integration/truth.hpp"

// The detail that a budget leaves out at times: what is counted without it, and that nothing is
// left of before when it is back.
namespace epulse::test {
namespace {

constexpr int kWaits = 499;  // in a round

struct Rounds {
  std::atomic<int> allowed;
  std::atomic<int> done;
};

// Three rounds, each once it is allowed; between two of them an event waits for its delivery.
void work(Rounds& rounds) {
  const int epoll = epoll_create1(0);
  const Pair pair = unix_pair();
  watch(epoll, pair.near, EPOLLIN);
  epoll_event event;
  for (int round = 0; round < 3; ++round) {
    while (rounds.allowed <= round) sleep_ns(1'000'000);
    for (int wait = 0; wait < kWaits; ++wait) {
      if (wait != 0 || round == 0) write_byte(pair.far);
      require(epoll_wait(epoll, &event, 1, 1000) == 1);
      read_byte(pair.near);
    }
    write_byte(pair.far);
    ++rounds.done;
  }
}

TEST(Detail, WithoutItWaitsAreCountedAndNothingOfThemIsMeasured) {
  Child<Rounds> child(work);
  ATTACH_OR_SKIP(probe, child.pid());
  auto& rounds = *static_cast<Rounds*>(child.shared());
  std::atomic<bool> ended{false};
  std::thread running([&] {
    EXPECT_TRUE(child.work());
    ended = true;
  });
  for (int round = 0; round < 3; ++round) {
    probe->read();
    probe->set_detail(round != 1);
    // What became ready without detail is old by then.
    if (round == 2) sleep_ns(500'000'000);
    ++rounds.allowed;
    while (rounds.done <= round && !ended) sleep_ns(1'000'000);
  }
  running.join();
  const model::EpollSnapshot snapshot = probe->read();
  EXPECT_LT(snapshot.detailed_ns, snapshot.duration_ns);
  EXPECT_GT(snapshot.detailed_ns, 500'000'000U);
  const model::WorkerStats sum = total(*probe);
  constexpr uint64_t kAll = uint64_t{3} * kWaits;
  constexpr uint64_t kDetailed = uint64_t{2} * kWaits;
  EXPECT_EQ(sum.waits(), kAll);
  EXPECT_EQ(sum.counters[EPOLL_COUNTER_DELIVERIES], kAll);
  EXPECT_EQ(sum.counters[EPOLL_COUNTER_SATURATED], kAll);
  EXPECT_EQ(sum.items[EPOLL_ITEMS_BATCH].count(), kAll);
  EXPECT_EQ(sum.events(), kAll);
  for (const auto items : {EPOLL_ITEMS_LISTED, EPOLL_ITEMS_FRESH, EPOLL_ITEMS_LEFT}) {
    EXPECT_EQ(sum.items[items].count(), kDetailed) << model::kItemsNames[items];
  }
  EXPECT_EQ(sum.items[EPOLL_ITEMS_LISTED].sum(), kDetailed);
  // The first of the third round became ready when nobody looked.
  EXPECT_EQ(sum.items[EPOLL_ITEMS_FRESH].sum(), kDetailed - 1);
  EXPECT_EQ(sum.counters[EPOLL_COUNTER_UNTIMED], 1U);
  const model::Histogram& age = sum.stages[EPOLL_STAGE_READY_TO_DELIVERED];
  EXPECT_EQ(age.count(), kDetailed - 1);
  EXPECT_LT(age.max(), 400'000'000U) << "an age of before the detail was back";
  EXPECT_EQ(sum.stages[EPOLL_STAGE_HANDLER].count(), kDetailed - 1) << "the last has none";
  EXPECT_EQ(sum.counters[EPOLL_COUNTER_INVALID], 0U);
}

// Two level-triggered sockets, one event a wait. In the first round both are delivered and read, so
// that both stay listed and idle. In the last the first signals again, and its delivery leaves the
// second: idle, not waiting since the first round.
void leave_an_idle_socket(Rounds& rounds) {
  const int epoll = epoll_create1(0);
  const Pair first = unix_pair();
  const Pair second = unix_pair();
  watch(epoll, first.near, EPOLLIN);
  watch(epoll, second.near, EPOLLIN);
  epoll_event event;
  const auto take = [&](const Pair& pair) {
    require(epoll_wait(epoll, &event, 1, 1000) == 1);
    read_byte(pair.near);
  };
  while (rounds.allowed <= 0) sleep_ns(1'000'000);
  require(epoll_wait(epoll, &event, 1, 0) == 0);  // what is signalled from here on is seen
  write_byte(first.far);
  write_byte(second.far);
  take(first);
  take(second);
  ++rounds.done;
  while (rounds.allowed <= 1) sleep_ns(1'000'000);
  write_byte(first.far);
  take(first);
  write_byte(second.far);
  take(second);
  ++rounds.done;
}

TEST(Detail, WhatIsListedAndIdleSinceAnEarlierRoundHasNotWaitedSince) {
  constexpr uint64_t kGapNs = 500'000'000;
  Child<Rounds> child(leave_an_idle_socket);
  ATTACH_OR_SKIP(probe, child.pid());
  auto& rounds = *static_cast<Rounds*>(child.shared());
  std::atomic<bool> ended{false};
  std::thread running([&] {
    EXPECT_TRUE(child.work());
    ended = true;
  });
  ++rounds.allowed;
  while (rounds.done < 1 && !ended) sleep_ns(1'000'000);
  probe->set_detail(false);
  sleep_ns(kGapNs);
  probe->set_detail(true);
  ++rounds.allowed;
  running.join();
  const model::WorkerStats sum = total(*probe);
  EXPECT_EQ(sum.counters[EPOLL_COUNTER_DELIVERIES], 4U);
  EXPECT_EQ(sum.items[EPOLL_ITEMS_LISTED].count(), 4U);
  EXPECT_EQ(sum.counters[EPOLL_COUNTER_UNTIMED], 1U) << "the first of a round, not seen to signal";
  const model::Histogram& age = sum.stages[EPOLL_STAGE_READY_TO_DELIVERED];
  EXPECT_EQ(age.count(), 3U);
  EXPECT_LT(age.max(), kGapNs / 2) << "an age of before the detail was back";
  EXPECT_EQ(sum.counters[EPOLL_COUNTER_INVALID], 0U);
}

// A thread that never sleeps, in turn on many instances, whose level-triggered sockets are always
// listed: nothing that was seen in one round must be taken for the next one's.
TEST(Detail, OfABusyThreadOnManyInstancesHasNoAgeOfAnEarlierRound) {
  constexpr size_t kInstances = 307;
  constexpr uint64_t kGapNs = 300'000'000;
  Child<std::atomic<bool>> child([](std::atomic<bool>& stopped) {
    std::vector<std::pair<int, Pair>> instances;
    for (size_t i = 0; i < kInstances; ++i) {
      instances.emplace_back(epoll_create1(0), unix_pair());
      watch(instances.back().first, instances.back().second.near, EPOLLIN);
    }
    epoll_event event;
    while (!stopped) {
      for (const auto& [epoll, pair] : instances) {
        write_byte(pair.far);
        require(epoll_wait(epoll, &event, 1, 1000) == 1);
        read_byte(pair.near);
      }
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  auto& stop = *static_cast<std::atomic<bool>*>(child.shared());
  std::thread running([&] { EXPECT_TRUE(child.work()); });
  model::EpollIntervals intervals(probe->attached_ns());
  model::EpollTotal sum;
  for (int round = 0; round < 5; ++round) {
    sleep_ns(kGapNs);
    sum.add(intervals.advance(probe->read()));
    probe->set_detail(round % 2 == 1);
  }
  stop = true;
  running.join();
  sum.add(intervals.advance(probe->read()));
  model::WorkerStats all;
  for (const auto& worker : sum.total().workers) all.merge(worker);
  const model::Histogram& age = all.stages[EPOLL_STAGE_READY_TO_DELIVERED];
  EXPECT_GT(age.count(), 1000U);
  EXPECT_LT(age.max(), kGapNs / 2) << "an age of before the detail was back";
  EXPECT_EQ(all.items[EPOLL_ITEMS_BATCH].count(), all.counters[EPOLL_COUNTER_DELIVERIES]);
  EXPECT_LT(all.items[EPOLL_ITEMS_LISTED].count(), all.counters[EPOLL_COUNTER_DELIVERIES]);
  EXPECT_EQ(all.counters[EPOLL_COUNTER_INVALID], 0U);
}

TEST(Detail, IsLeftOutWhereItCostsMoreThanTheBudget) {
  std::atomic<bool>* stop = nullptr;
  Child<std::atomic<bool>> child([](std::atomic<bool>& stopped) {
    const int epoll = epoll_create1(0);
    const Pair pair = unix_pair();
    watch(epoll, pair.near, EPOLLIN);
    epoll_event event;
    while (!stopped) {
      write_byte(pair.far);
      require(epoll_wait(epoll, &event, 1, 1000) == 1);
      read_byte(pair.near);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  stop = static_cast<std::atomic<bool>*>(child.shared());
  probes::OverheadControl control(*probe, 0.0001);
  std::thread running([&] { EXPECT_TRUE(child.work()); });
  model::EpollIntervals intervals(probe->attached_ns());
  const auto interval = [&] {
    sleep_ns(1'000'000'000);
    model::EpollSnapshot snapshot = intervals.advance(probe->read());
    control.interval_ends(snapshot.time_ns);
    return snapshot;
  };
  const model::EpollSnapshot first = interval();
  const model::EpollSnapshot second = interval();
  const model::Overhead overhead = control.overhead();
  *stop = true;
  running.join();
  ASSERT_EQ(overhead.unmeasured, "");
  ASSERT_TRUE(overhead.full_cost.has_value());
  ASSERT_TRUE(overhead.least_cost.has_value());
  // A tight loop costs a good deal more than 0.01 % of a CPU, and less where waits are only
  // counted.
  EXPECT_GT(*overhead.full_cost, 0.001);
  EXPECT_GT(*overhead.least_cost, 0.0);
  EXPECT_LT(*overhead.least_cost, *overhead.full_cost);
  EXPECT_EQ(overhead.detail_one_in, 60U);
  EXPECT_EQ(first.detailed_ns, first.duration_ns);
  EXPECT_EQ(second.detailed_ns, 0U);
  ASSERT_EQ(second.workers.size(), 1U);
  // Between the reading and the detaching some more are measured.
  const model::WorkerStats& worker = second.workers[0];
  EXPECT_LT(worker.items[EPOLL_ITEMS_LISTED].count(), worker.events() / 20);
  EXPECT_LT(worker.stages[EPOLL_STAGE_READY_TO_DELIVERED].count(), worker.events() / 20);
}

}  // namespace
}  // namespace epulse::test
