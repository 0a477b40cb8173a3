// How many: depth, batch, backlog.
#include "tests/integration/truth.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "agent/error.hpp"
#include "agent/kernel/sched_sampler.hpp"

namespace epulse::test {
namespace {

using kernel::monotonic_ns;

constexpr int kRounds = 13;

struct DepthCase {
  int sockets;
  uint32_t trigger;  // 0: level
  bool tcp;
};

class Depth : public testing::TestWithParam<DepthCase> {};

TEST_P(Depth, ComesOutExactly) {
  covers({"depth listed", "depth fresh", "batch"});
  const DepthCase param = GetParam();
  Child<int> child([&](int&) {
    const int epoll = epoll_create1(0);
    std::vector<Pair> pairs;
    for (int i = 0; i < param.sockets; ++i) {
      pairs.push_back(param.tcp ? tcp_pair() : unix_pair());
      watch(epoll, pairs.back().near, EPOLLIN | param.trigger);
    }
    std::vector<epoll_event> events(1024);
    for (int round = 0; round < kRounds; ++round) {
      for (const Pair& pair : pairs) write_byte(pair.far);
      for (const Pair& pair : pairs) await_byte(pair.near);
      require(epoll_wait(epoll, events.data(), 1024, 1000) == param.sockets);
      for (const Pair& pair : pairs) read_byte(pair.near);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::WorkerStats stats = total(*probe);
  const auto n = static_cast<uint64_t>(param.sockets);
  EXPECT_EQ(stats.counters[EPOLL_COUNTER_DELIVERIES], kRounds);
  EXPECT_EQ(stats.events(), n * kRounds);
  for (const auto items : {EPOLL_ITEMS_LISTED, EPOLL_ITEMS_FRESH, EPOLL_ITEMS_BATCH}) {
    EXPECT_EQ(stats.items[items].count(), kRounds) << model::kItemsNames[items];
    EXPECT_EQ(stats.items[items].sum(), n * kRounds) << model::kItemsNames[items];
    EXPECT_EQ(stats.items[items].quantile(0), n) << model::kItemsNames[items];
    EXPECT_EQ(stats.items[items].max(), n) << model::kItemsNames[items];
  }
  EXPECT_EQ(stats.items[EPOLL_ITEMS_LEFT].max(), 0U);
  EXPECT_EQ(stats.counters[EPOLL_COUNTER_UNTIMED], 0U);
  EXPECT_EQ(stats.counters[EPOLL_COUNTER_INVALID], 0U);
  EXPECT_EQ(stats.stages[EPOLL_STAGE_READY_TO_DELIVERED].count(), kRounds);
}

std::vector<DepthCase> depth_cases() {
  std::vector<DepthCase> cases;
  for (const int sockets : {1, 2, 7, 61, 509}) {
    for (const uint32_t trigger : {0U, static_cast<uint32_t>(EPOLLET)}) {
      for (const bool tcp : {false, true}) cases.push_back({sockets, trigger, tcp});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Truth, Depth, testing::ValuesIn(depth_cases()), [](const auto& param) {
  return fmt::format("{}{}{}", param.param.sockets, param.param.trigger == 0 ? "Level" : "Edge",
                     param.param.tcp ? "Tcp" : "Unix");
});

// A batch smaller than the queue: 61 sockets in batches of 16.
class Backlog : public testing::TestWithParam<uint32_t> {};

TEST_P(Backlog, IsWhatTheBatchLeft) {
  covers({"backlog left", "depth listed", "depth fresh", "batch", "ready to delivered"});
  Child<Bounds> child([&](Bounds& last_batch) {
    const int epoll = epoll_create1(0);
    std::vector<Pair> pairs;
    for (int i = 0; i < 61; ++i) {
      pairs.push_back(unix_pair());
      watch(epoll, pairs.back().near, EPOLLIN | GetParam());
    }
    uint64_t writing_ns = 0;
    uint64_t written_ns = 0;
    for (size_t i = 0; i < pairs.size(); ++i) {
      if (i == 48) {  // the last batch is younger than the first, however slow the machine
        sleep_ns(300'000'000);
        writing_ns = monotonic_ns();
      }
      write_byte(pairs[i].far);
      if (i == 48) written_ns = monotonic_ns();
    }
    epoll_event events[16];
    for (const int expected : {16, 16, 16, 13}) {
      sleep_ns(5'000'000);
      const uint64_t waiting_ns = monotonic_ns();
      require(epoll_wait(epoll, events, 16, 1000) == expected);
      if (expected == 13) last_batch.add(waiting_ns - written_ns, monotonic_ns() - writing_ns);
      for (int i = 0; i < expected; ++i) read_byte(events[i].data.fd);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid(), {.sample_every = 1});
  ASSERT_TRUE(child.work());
  const model::WorkerStats stats = total(*probe);
  EXPECT_EQ(stats.counters[EPOLL_COUNTER_SATURATED], 3U);
  EXPECT_EQ(stats.items[EPOLL_ITEMS_LEFT].sum(), 45U + 29 + 13 + 0);
  EXPECT_EQ(stats.items[EPOLL_ITEMS_LEFT].max(), 45U);
  EXPECT_EQ(stats.items[EPOLL_ITEMS_FRESH].sum(), 61U);
  EXPECT_EQ(stats.items[EPOLL_ITEMS_BATCH].sum(), 61U);
  if (GetParam() != 0) {
    // Level-triggered items are listed again after delivery, so only here is the list what is left.
    EXPECT_EQ(stats.items[EPOLL_ITEMS_LISTED].sum(), 61U + 45 + 29 + 13);
    const auto& age = stats.stages[EPOLL_STAGE_READY_TO_DELIVERED];
    EXPECT_EQ(age.count(), 4U);
    const uint64_t youngest = age.quantile(0.01);
    EXPECT_GE(static_cast<double>(youngest), 0.96 * static_cast<double>(child.result().inner_ns));
    EXPECT_LE(static_cast<double>(youngest), 1.04 * static_cast<double>(child.result().outer_ns));
  }
}

INSTANTIATE_TEST_SUITE_P(Truth, Backlog, testing::Values(0U, static_cast<uint32_t>(EPOLLET)),
                         [](const auto& param) { return param.param == 0 ? "Level" : "Edge"; });

// One event at a time, of five sockets that always have one, and an eventfd that comes between them
// now and then: what the sockets' oldest event is, stays known.
TEST(Truth, AgeAfterAnEventOfAnotherKind) {
  covers({"ready to delivered", "backlog left"});
  constexpr int kSockets = 5;
  constexpr int kTurns = 60;
  constexpr int kOthers = 10;  // events of the other kind
  Child<Bounds> child([](Bounds& ages) {
    const int epoll = epoll_create1(0);
    const int other = eventfd(0, 0);
    watch(epoll, other, EPOLLIN);
    std::vector<Pair> pairs;
    std::map<int, std::pair<uint64_t, uint64_t>> written;  // by descriptor: before, after
    const auto write_to = [&](const Pair& pair) {
      const uint64_t writing = monotonic_ns();
      write_byte(pair.far);
      written[pair.near] = {writing, monotonic_ns()};
    };
    for (int i = 0; i < kSockets; ++i) {
      pairs.push_back(unix_pair());
      watch(epoll, pairs.back().near, EPOLLIN);
    }
    for (const Pair& pair : pairs) write_to(pair);
    for (int turn = 0; turn < kTurns; ++turn) {
      if (turn % (kTurns / kOthers) == 3) require(eventfd_write(other, 1) == 0);
      epoll_event event;
      const uint64_t waiting = monotonic_ns();
      require(epoll_wait(epoll, &event, 1, 1000) == 1);
      const uint64_t waited = monotonic_ns();
      if (event.data.fd == other) {
        eventfd_t value = 0;
        require(eventfd_read(other, &value) == 0);
        continue;
      }
      const auto& [writing, written_at] = written[event.data.fd];
      ages.add(waiting - written_at, waited - writing);
      read_byte(event.data.fd);
      sleep_ns(1'000'000);
      for (const Pair& pair : pairs) {
        if (pair.near == event.data.fd) write_to(pair);
      }
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::WorkerStats stats = total(*probe);
  const auto& age = stats.stages[EPOLL_STAGE_READY_TO_DELIVERED];
  // Beside an eventfd that has not been seen to signal, nothing is certain for a turn or two.
  EXPECT_GE(age.count(), child.result().count - uint64_t{3} * kOthers);
  EXPECT_LE(age.count(), child.result().count + kOthers);
  const double mean = age.mean();
  const auto count = static_cast<double>(child.result().count);
  EXPECT_GT(mean, 0.9 * static_cast<double>(child.result().inner_ns) / count);
  EXPECT_LT(mean, 1.1 * static_cast<double>(child.result().outer_ns) / count);
  EXPECT_GT(stats.items[EPOLL_ITEMS_LEFT].quantile(0.01), 0U) << "something is always left";
}

// A level-triggered socket that was delivered and read is listed still, in front of one that has
// something new: it is not what the next delivery is as old as.
TEST(Truth, AnIdleItemInFrontIsNotTheOldest) {
  covers({"ready to delivered"});
  Child<Bounds> child([](Bounds& ages) {
    const int epoll = epoll_create1(0);
    const std::array<Pair, 2> pairs{unix_pair(), unix_pair()};
    for (const Pair& pair : pairs) watch(epoll, pair.near, EPOLLIN);
    const auto take = [&](const Pair& pair, uint64_t writing, uint64_t written) {
      epoll_event event;
      const uint64_t waiting = monotonic_ns();
      require(epoll_wait(epoll, &event, 1, 1000) == 1);
      ages.add(waiting - written, monotonic_ns() - writing);
      require(event.data.fd == pair.near);
      read_byte(pair.near);
    };
    std::array<uint64_t, 2> writing{};
    std::array<uint64_t, 2> written{};
    for (size_t i = 0; i < 2; ++i) {
      writing[i] = monotonic_ns();
      write_byte(pairs[i].far);
      written[i] = monotonic_ns();
    }
    for (size_t i = 0; i < 2; ++i) take(pairs[i], writing[i], written[i]);
    // Now the first stands idle before the second.
    sleep_ns(60'000'000);
    writing[1] = monotonic_ns();
    write_byte(pairs[1].far);
    written[1] = monotonic_ns();
    sleep_ns(5'000'000);
    take(pairs[1], writing[1], written[1]);
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const auto age = total(*probe).stages[EPOLL_STAGE_READY_TO_DELIVERED];
  ASSERT_EQ(age.count(), child.result().count);
  expect_within(age.sum(), child.result());
}

TEST(Truth, SourcesThatAreNoSocketsCountInDepthAndBatch) {
  covers({"depth listed", "depth fresh", "batch"});
  Child<int> child([](int&) {
    const int epoll = epoll_create1(0);
    std::vector<int> events_fds;
    for (int i = 0; i < 7; ++i) {
      events_fds.push_back(eventfd(0, 0));
      watch(epoll, events_fds.back(), EPOLLIN | EPOLLET);
    }
    epoll_event events[64];
    for (int round = 0; round < kRounds; ++round) {
      for (const int fd : events_fds) require(eventfd_write(fd, 1) == 0);
      require(epoll_wait(epoll, events, 64, 1000) == 7);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::WorkerStats stats = total(*probe);
  EXPECT_EQ(stats.items[EPOLL_ITEMS_LISTED].sum(), 7U * kRounds);
  EXPECT_EQ(stats.items[EPOLL_ITEMS_BATCH].sum(), 7U * kRounds);
  // Only the callback's own probe sees an eventfd become ready.
  const bool sees_all = attached.plan.backend != probes::Backend::kTracepoint;
  EXPECT_EQ(stats.items[EPOLL_ITEMS_FRESH].sum(), sees_all ? 7U * kRounds : 0U);
  EXPECT_EQ(stats.counters[EPOLL_COUNTER_UNTIMED], sees_all ? 0U : static_cast<uint64_t>(kRounds));
}

}  // namespace
}  // namespace epulse::test
