// Nothing is lost: every event is in a histogram, every record arrives or is counted as dropped,
// whatever threads do meanwhile.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>
#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "tests/integration/truth.hpp"

namespace epulse::test {
namespace {

constexpr std::array<size_t, 4> kPrimes = {61, 7, 13, 2};
constexpr size_t kSocketsOfShortThread = 3;

// Makes all of `sockets` sockets ready and takes them, `rounds` times.
void make_rounds(size_t sockets, uint64_t rounds) {
  const int epoll = epoll_create1(0);
  std::vector<Pair> pairs;
  for (size_t i = 0; i < sockets; ++i) {
    pairs.push_back(unix_pair());
    watch(epoll, pairs.back().near, EPOLLIN | EPOLLET);
  }
  std::vector<epoll_event> events(128);
  std::array<char, 256> buffer{};
  for (uint64_t round = 0; round < rounds; ++round) {
    for (const Pair& pair : pairs) write_byte(pair.far);
    require(epoll_wait(epoll, events.data(), 128, 1000) == static_cast<int>(sockets));
    if (round % 100 != 99) continue;  // edge-triggered: reading is only to make room
    for (const Pair& pair : pairs) require(read(pair.near, buffer.data(), buffer.size()) > 0);
  }
  for (const Pair& pair : pairs) {
    close(pair.near);
    close(pair.far);
  }
  close(epoll);
}

struct Workload {
  size_t threads;
  uint64_t events;  // at least
};

struct Done {
  std::atomic<uint64_t> events;
  std::atomic<uint64_t> waits;
};

void run(const Workload& workload, Done& done) {
  std::atomic<size_t> running{workload.threads};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < workload.threads; ++i) {
    threads.emplace_back([&, sockets = kPrimes[i]] {
      const uint64_t rounds = workload.events / workload.threads / sockets + 1;
      make_rounds(sockets, rounds);
      done.events += rounds * sockets;
      done.waits += rounds;
      --running;
    });
  }
  // Others are born and die meanwhile.
  while (running != 0) {
    std::thread(make_rounds, kSocketsOfShortThread, 5).join();
    done.events += 5 * kSocketsOfShortThread;
    done.waits += 5;
    sleep_ns(2'000'000);
  }
  for (std::thread& thread : threads) thread.join();
}

class Sums : public testing::TestWithParam<Workload> {};

TEST_P(Sums, AreExactWhileThreadsComeAndGo) {
  covers({"batch", "depth listed", "depth fresh"});
  Child<Done> child([](Done& done) { run(GetParam(), done); });
  uint64_t records = 0;
  ATTACH_OR_SKIP(probe, child.pid(), {.sample_every = 1},
                 [&](const epoll_wait_record&) { ++records; });
  std::atomic<bool> ended{false};
  std::thread work([&] {
    EXPECT_TRUE(child.work());
    ended = true;
  });
  model::EpollIntervals intervals(probe->attached_ns());
  model::EpollTotal sum;
  const auto sample = [&] {
    probe->consume();
    sum.add(intervals.advance(probe->read()));
  };
  while (!ended) {
    sample();
    sleep_ns(20'000'000);
  }
  work.join();
  sample();
  model::WorkerStats all;
  for (const auto& worker : sum.total().workers) all.merge(worker);
  const Done& done = child.result();
  EXPECT_GE(done.events, GetParam().events);
  // Threads that are born faster than this test reads find no slot: their waits are counted, and
  // each of them had as many events.
  const uint64_t dropped = sum.total().losses.workers_dropped;
  EXPECT_EQ(all.counters[EPOLL_COUNTER_DELIVERIES] + dropped, done.waits);
  for (const auto items : {EPOLL_ITEMS_BATCH, EPOLL_ITEMS_LISTED, EPOLL_ITEMS_FRESH}) {
    EXPECT_EQ(all.items[items].sum() + dropped * kSocketsOfShortThread, done.events)
        << model::kItemsNames[items];
    EXPECT_EQ(all.items[items].count() + dropped, done.waits) << model::kItemsNames[items];
  }
  EXPECT_EQ(all.stages[EPOLL_STAGE_READY_TO_DELIVERED].count() + dropped, done.waits);
  EXPECT_EQ(all.counters[EPOLL_COUNTER_INVALID], 0U);
  EXPECT_EQ(records + sum.total().losses.waits_dropped + dropped, done.waits);
}

std::string name_of(const testing::TestParamInfo<Workload>& info) {
  return fmt::format("{}EventsOn{}Thread{}", info.param.events, info.param.threads,
                     info.param.threads == 1 ? "" : "s");
}

INSTANTIATE_TEST_SUITE_P(Truth, Sums,
                         testing::Values(Workload{1, 1'000'000}, Workload{4, 1'000'000},
                                         Workload{1, 2'003}, Workload{4, 2'003}),
                         name_of);

}  // namespace
}  // namespace epulse::test
