// Threads and instances that come and go, shared ones, and what is lost.
#include "tests/integration/truth.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include "agent/error.hpp"
#include "agent/kernel/sched_sampler.hpp"

namespace epulse::test {
namespace {

// Eight threads drain one instance of sixteen sockets: a walk must not stray into another's scan.
TEST(Truth, DepthOfASharedInstanceIsNeverMoreThanItWatches) {
  Child<int> child([](int&) {
    const int epoll = epoll_create1(0);
    std::vector<Pair> pairs;
    for (int i = 0; i < 16; ++i) {
      pairs.push_back(unix_pair());
      watch(epoll, pairs.back().near, EPOLLIN);
    }
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    threads.reserve(8);
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        epoll_event events[4];
        char bytes[64];
        while (!stop) {
          const int ready = epoll_wait(epoll, events, 4, 10);
          for (int k = 0; k < ready; ++k) {
            require(recv(events[k].data.fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 64);
          }
        }
      });
    }
    const uint64_t end_ns = kernel::monotonic_ns() + 2'000'000'000;  // emulated CPUs get less far
    for (int write = 0; write < 200'000 && kernel::monotonic_ns() < end_ns; ++write) {
      require(send(pairs[static_cast<size_t>(write) % 16].far, "x", 1, MSG_DONTWAIT) <= 1);
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::WorkerStats stats = total(*probe);
  EXPECT_GT(stats.counters[EPOLL_COUNTER_DELIVERIES], 100U);
  EXPECT_LE(stats.items[EPOLL_ITEMS_LISTED].max(), 16U);
  EXPECT_LE(stats.items[EPOLL_ITEMS_LEFT].max(), 12U);
}

TEST(Truth, AThreadMayGoThroughAnyNumberOfInstances) {
  constexpr int kInstances = 1009;  // far more than there are slots
  Child<int> child([](int&) {
    const Pair pair = unix_pair();
    epoll_event event;
    for (int i = 0; i < kInstances; ++i) {
      const int epoll = epoll_create1(0);
      watch(epoll, pair.near, EPOLLIN);
      write_byte(pair.far);
      require(epoll_wait(epoll, &event, 1, 1000) == 1);
      read_byte(pair.near);
      close(epoll);
      if (i % 20 == 0) sleep_ns(20'000'000);  // a reader comes by now and then
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  std::atomic<bool> done{false};
  std::thread work([&] {
    EXPECT_TRUE(child.work());
    done = true;
  });
  model::EpollIntervals intervals(probe->attached_ns());
  model::EpollTotal sum;
  while (!done) {
    sum.add(intervals.advance(probe->read()));
    sleep_ns(5'000'000);
  }
  work.join();
  sum.add(intervals.advance(probe->read()));
  uint64_t deliveries = sum.total().losses.workers_dropped;
  for (const auto& worker : sum.total().workers) {
    deliveries += worker.counters[EPOLL_COUNTER_DELIVERIES];
  }
  EXPECT_EQ(deliveries, static_cast<uint64_t>(kInstances));
  // Without slots given back it would be all but 128; how many are lost depends on the reader.
  EXPECT_LT(sum.total().losses.workers_dropped, kInstances / 2);
}

TEST(Truth, ThreadsThatComeAndGoAreAllCounted) {
  constexpr int kThreads = 31;
  constexpr int kWaits = 17;
  Child<int> child([](int&) {
    for (int i = 0; i < kThreads; ++i) {
      std::thread([] {
        const int epoll = epoll_create1(0);
        const Pair pair = unix_pair();
        watch(epoll, pair.near, EPOLLIN);
        epoll_event event;
        for (int wait = 0; wait < kWaits; ++wait) {
          write_byte(pair.far);
          require(epoll_wait(epoll, &event, 1, 1000) == 1);
          read_byte(pair.near);
        }
        close(pair.near);
        close(pair.far);
        close(epoll);
      }).join();
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  EXPECT_EQ(total(*probe).counters[EPOLL_COUNTER_DELIVERIES],
            static_cast<uint64_t>(kThreads * kWaits));
  // The dead have been read; their slots are free again.
  EXPECT_TRUE(probe->read().workers.empty());
}

TEST(Truth, EverySingleRecordArrivesOrIsCountedAsDropped) {
  constexpr int kWaits = 20'011;  // about twice what the ring buffer holds
  Child<int> child([](int&) {
    const int epoll = epoll_create1(0);
    const Pair pair = unix_pair();
    watch(epoll, pair.near, EPOLLIN);
    epoll_event event;
    for (int wait = 0; wait < kWaits; ++wait) {
      write_byte(pair.far);
      require(epoll_wait(epoll, &event, 1, 1000) == 1);
      read_byte(pair.near);
    }
  });
  uint64_t received = 0;
  ATTACH_OR_SKIP(probe, child.pid(), {.sample_every = 1},
                 [&](const epoll_wait_record&) { ++received; });
  ASSERT_TRUE(child.work());
  probe->consume();
  const model::EpollSnapshot snapshot = probe->read();
  EXPECT_GT(snapshot.losses.waits_dropped, 0U);
  EXPECT_EQ(received + snapshot.losses.waits_dropped, static_cast<uint64_t>(kWaits));
  const auto& by_cpu = snapshot.losses.waits_dropped_by_cpu;
  EXPECT_EQ(std::accumulate(by_cpu.begin(), by_cpu.end(), uint64_t{0}),
            snapshot.losses.waits_dropped);
  EXPECT_EQ(total(*probe).counters[EPOLL_COUNTER_DELIVERIES], static_cast<uint64_t>(kWaits));
}

TEST(Truth, OtherProcessesAreLeftAlone) {
  const auto work = [](int&) {
    const int epoll = epoll_create1(0);
    const Pair pair = unix_pair();
    watch(epoll, pair.near, EPOLLIN);
    epoll_event event;
    write_byte(pair.far);
    require(epoll_wait(epoll, &event, 1, 1000) == 1);
  };
  Child<int> child(work);
  Child<int> other(work);
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(other.work());
  EXPECT_TRUE(probe->read().workers.empty());
  ASSERT_TRUE(child.work());
  EXPECT_EQ(total(*probe).counters[EPOLL_COUNTER_DELIVERIES], 1U);
}

}  // namespace
}  // namespace epulse::test
