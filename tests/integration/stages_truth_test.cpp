// How long: the stages, and which wake-ups were empty.
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
#include <fstream>
#include <thread>
#include <vector>

#include "agent/error.hpp"
#include "agent/kernel/sched_sampler.hpp"

namespace epulse::test {
namespace {

using kernel::monotonic_ns;

constexpr int kRounds = 13;

TEST(Truth, ReadyToDeliveredWhenTheThreadIsBusy) {
  covers({"ready to delivered"});
  Child<Bounds> child([](Bounds& times) {
    const int epoll = epoll_create1(0);
    const Pair pair = tcp_pair();
    watch(epoll, pair.near, EPOLLIN);
    epoll_event event;
    for (const uint64_t delay_ms : {1U, 3U, 10U, 30U}) {
      const uint64_t writing = monotonic_ns();
      write_byte(pair.far);
      const uint64_t written = monotonic_ns();
      sleep_ns(delay_ms * 1'000'000);
      const uint64_t waiting = monotonic_ns();
      require(epoll_wait(epoll, &event, 1, 1000) == 1);
      times.add(waiting - written, monotonic_ns() - writing);
      read_byte(pair.near);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const auto age = total(*probe).stages[EPOLL_STAGE_READY_TO_DELIVERED];
  ASSERT_EQ(age.count(), child.result().count);
  expect_within(age.sum(), child.result());
}

TEST(Truth, HandlerTimeIsBetweenReturnAndNextWait) {
  covers({"handler"});
  Child<Bounds> child([](Bounds& times) {
    const int epoll = epoll_create1(0);
    const Pair pair = unix_pair();
    watch(epoll, pair.near, EPOLLIN);
    epoll_event event;
    uint64_t called = 0;
    uint64_t returned = 0;
    for (int round = 0; round <= 8; ++round) {
      write_byte(pair.far);  // so that no wait blocks
      const uint64_t calling = monotonic_ns();
      require(epoll_wait(epoll, &event, 1, 1000) == 1);
      const uint64_t now = monotonic_ns();
      if (returned != 0) times.add(calling - returned, now - called);
      called = calling;
      returned = now;
      read_byte(pair.near);
      sleep_ns(5'000'000);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const auto handler = total(*probe).stages[EPOLL_STAGE_HANDLER];
  ASSERT_EQ(handler.count(), child.result().count);
  expect_within(handler.sum(), child.result());
}

// As a loop does that has callbacks left.
TEST(Truth, HandlerGoesOnAfterALookThatFoundNothing) {
  covers({"handler"});
  Child<Bounds> child([](Bounds& times) {
    const int epoll = epoll_create1(0);
    const Pair pair = unix_pair();
    watch(epoll, pair.near, EPOLLIN);
    epoll_event event;
    for (int round = 0; round < 4; ++round) {
      write_byte(pair.far);  // so that no wait blocks
      const uint64_t called = monotonic_ns();
      require(epoll_wait(epoll, &event, 1, 1000) == 1);
      const uint64_t returned = monotonic_ns();
      read_byte(pair.near);
      sleep_ns(1'000'000);
      const uint64_t looking = monotonic_ns();
      require(epoll_wait(epoll, &event, 1, 0) == 0);
      const uint64_t looked = monotonic_ns();
      sleep_ns(5'000'000);
      const uint64_t sleeping = monotonic_ns();
      // What comes after it slept is nobody's handler.
      require(epoll_wait(epoll, &event, 1, 3) == 0);
      const uint64_t slept = monotonic_ns();
      sleep_ns(7'000'000);
      require(epoll_wait(epoll, &event, 1, 0) == 0);
      sleep_ns(7'000'000);
      times.add(looking - returned + sleeping - looked, slept - called);
    }
    require(epoll_wait(epoll, &event, 1, 0) == 0);
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const auto handler = total(*probe).stages[EPOLL_STAGE_HANDLER];
  ASSERT_EQ(handler.count(), child.result().count);
  expect_within(handler.sum(), child.result());
}

// Looking again and again is waiting, too: one value for each delivery, and not the looks' own.
TEST(Truth, ALoopThatWaitsByLookingHandlesNothingMeanwhile) {
  covers({"handler"});
  Child<Bounds> child([](Bounds& times) {
    const int epoll = epoll_create1(0);
    const Pair pair = unix_pair();
    watch(epoll, pair.near, EPOLLIN);
    epoll_event event;
    for (int round = 0; round < kRounds; ++round) {
      write_byte(pair.far);
      const uint64_t called = monotonic_ns();
      require(epoll_wait(epoll, &event, 1, 0) == 1);
      const uint64_t returned = monotonic_ns();
      read_byte(pair.near);
      sleep_ns(2'000'000);
      const uint64_t looking = monotonic_ns();
      for (int look = 0; look < 20; ++look) require(epoll_wait(epoll, &event, 1, 0) == 0);
      times.add(looking - returned, monotonic_ns() - called);
      for (int look = 0; look < 1000; ++look) require(epoll_wait(epoll, &event, 1, 0) == 0);
      sleep_ns(5'000'000);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const auto handler = total(*probe).stages[EPOLL_STAGE_HANDLER];
  ASSERT_EQ(handler.count(), child.result().count);
  expect_within(handler.sum(), child.result());
}

// The handler of a delivery is over when the thread waits on another instance, and counts for the
// one that delivered.
TEST(Truth, HandlerIsOfTheInstanceThatDelivered) {
  covers({"handler"});
  struct Handlers {
    std::array<int, 2> descriptors;
    std::array<Bounds, 2> bounds;
  };
  Child<Handlers> child([](Handlers& handlers) {
    std::vector<Pair> pairs;
    for (int& epoll : handlers.descriptors) {
      epoll = epoll_create1(0);
      pairs.push_back(unix_pair());
      watch(epoll, pairs.back().near, EPOLLIN);
    }
    uint64_t called = 0;
    uint64_t returned = 0;
    for (size_t turn = 0; turn < size_t{2} * kRounds; ++turn) {
      const size_t instance = turn % 2;
      write_byte(pairs[instance].far);
      epoll_event event;
      const uint64_t calling = monotonic_ns();
      require(epoll_wait(handlers.descriptors[instance], &event, 1, 1000) == 1);
      const uint64_t now = monotonic_ns();
      if (turn != 0) handlers.bounds[1 - instance].add(calling - returned, now - called);
      called = calling;
      returned = now;
      read_byte(pairs[instance].near);
      sleep_ns(instance == 0 ? 2'000'000 : 5'000'000);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::EpollSnapshot snapshot = probe->read();
  for (size_t instance = 0; instance < 2; ++instance) {
    for (const model::WorkerStats& worker : snapshot.workers) {
      if (worker.key.epfd != child.result().descriptors[instance]) continue;
      const auto& handler = worker.stages[EPOLL_STAGE_HANDLER];
      EXPECT_EQ(handler.count(), child.result().bounds[instance].count) << instance;
      expect_within(handler.sum(), child.result().bounds[instance]);
    }
  }
}

void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  require(sched_setaffinity(0, sizeof(set), &set) == 0);
}

int a_cpu() {
  cpu_set_t set;
  require(sched_getaffinity(0, sizeof(set), &set) == 0);
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0; --cpu) {
    if (CPU_ISSET(static_cast<size_t>(cpu), &set)) return cpu;
  }
  return 0;
}

// A thread that sleeps nowhere but in epoll_wait.
struct Waiter {
  std::atomic<pid_t> tid{0};

  void require_blocked() const {
    for (int ms = 0; ms < 5000; ++ms) {
      std::ifstream stat(fmt::format("/proc/self/task/{}/stat", tid.load()));
      std::string line;
      std::getline(stat, line);
      const size_t name_end = line.rfind(") ");
      if (name_end != std::string::npos && line[name_end + 2] == 'S') return;
      sleep_ns(1'000'000);
    }
    require(false);
  }
};

// Not only when the next event comes, which may be tomorrow.
TEST(Truth, HandlerIsCountedWhileTheThreadSleeps) {
  covers({"handler"});
  Child<Bounds> child([](Bounds& times) {
    const int epoll = epoll_create1(0);
    const Pair pair = unix_pair();
    watch(epoll, pair.near, EPOLLIN);
    Waiter waiter;
    std::atomic<bool> handled{false};
    std::thread([&] {
      waiter.tid = gettid();
      epoll_event event;
      const uint64_t called = monotonic_ns();
      require(epoll_wait(epoll, &event, 1, 5000) == 1);
      const uint64_t returned = monotonic_ns();
      read_byte(pair.near);
      sleep_ns(3'000'000);
      times.add(monotonic_ns() - returned, monotonic_ns() - called);
      handled = true;
      epoll_wait(epoll, &event, 1, 60'000);
    }).detach();
    while (waiter.tid == 0) sleep_ns(1'000'000);
    waiter.require_blocked();
    write_byte(pair.far);
    while (!handled) sleep_ns(1'000'000);
    waiter.require_blocked();
    sleep_ns(20'000'000);
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  EXPECT_EQ(total(*probe).stages[EPOLL_STAGE_HANDLER].count(), 1U);
}

// A real-time thread on the waiters' CPU: writes a byte, keeps the CPU for a known time, sleeps,
// again. Whoever waits for the byte is woken at once and runs when the hog sleeps. `times` gets how
// long it kept the CPU, or why it could not.
void write_and_hog(int fd, int cpu, int rounds, std::vector<Waiter>& waiters, Bounds& times) {
  pin(cpu);
  times.hog = static_cast<uint32_t>(gettid());
  const sched_param priority{1};
  if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0) times.skipped = errno;
  for (int round = 0; round < rounds; ++round) {
    sleep_ns(20'000'000);
    for (const Waiter& waiter : waiters) waiter.require_blocked();
    const uint64_t writing = monotonic_ns();
    write_byte(fd);
    const uint64_t written = monotonic_ns();
    while (times.skipped == 0 && monotonic_ns() < written + 8'000'000) {
    }
    // Up to when the waiter has run; it adds when that was.
    times.add(monotonic_ns() - written, 0 - writing);
  }
}

#define SKIP_WITHOUT_REALTIME(child)                                       \
  if (const int error = (child).result().skipped; error != 0) {            \
    GTEST_SKIP() << "no real-time scheduling here: " << errno_text(error); \
  }

TEST(Truth, WokenToRunningIsTheRunQueueDelay) {
  covers({"ready to woken", "woken to running", "running to delivered", "ready to delivered",
          "blame"});
  Child<Bounds> child([](Bounds& times) {
    constexpr int kWaits = 5;
    const int epoll = epoll_create1(0);
    const Pair pair = unix_pair();
    watch(epoll, pair.near, EPOLLIN);
    const int cpu = a_cpu();
    uint64_t ran_ns = 0;
    std::vector<Waiter> waiters(1);
    std::thread waiter([&] {
      pin(cpu);
      waiters[0].tid = gettid();
      epoll_event event;
      for (int wait = 0; wait < kWaits; ++wait) {
        require(epoll_wait(epoll, &event, 1, 5000) == 1);
        ran_ns += monotonic_ns();
        read_byte(pair.near);
      }
    });
    std::thread(write_and_hog, pair.far, cpu, kWaits, std::ref(waiters), std::ref(times)).join();
    waiter.join();
    times.outer_ns += ran_ns;
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  SKIP_WITHOUT_REALTIME(child);
  const model::WorkerStats stats = total(*probe);
  const auto& delay = stats.stages[EPOLL_STAGE_WOKEN_TO_RUNNING];
  ASSERT_EQ(delay.count(), child.result().count);
  EXPECT_EQ(stats.counters[EPOLL_COUNTER_WAKEUPS], child.result().count);
  expect_within(delay.sum(), child.result());
  EXPECT_EQ(stats.stages[EPOLL_STAGE_READY_TO_WOKEN].count(), child.result().count);
  const auto& woken = stats.stages[EPOLL_STAGE_READY_TO_WOKEN];
  const auto& delivered = stats.stages[EPOLL_STAGE_RUNNING_TO_DELIVERED];
  const auto& whole = stats.stages[EPOLL_STAGE_READY_TO_DELIVERED];
  EXPECT_LT(woken.sum() / woken.count(), slack_ns());
  EXPECT_EQ(delivered.count(), child.result().count);
  EXPECT_LT(delivered.sum() / delivered.count(), 5 * slack_ns());
  // Somebody had the CPU all that time, and the hog most of it.
  const std::vector<model::Blame> blames = model::by_culprit(probe->blames());
  ASSERT_FALSE(blames.empty());
  EXPECT_EQ(blames[0].culprit, child.result().hog);
  EXPECT_GT(blames[0].ns, delay.sum() / 2);
  uint64_t blamed_ns = 0;
  for (const model::Blame& blame : blames) blamed_ns += blame.ns;
  EXPECT_GT(static_cast<double>(blamed_ns), 0.99 * static_cast<double>(delay.sum()));
  EXPECT_LE(blamed_ns, delay.sum());
  // The three follow one another from the same signal to the same return.
  ASSERT_EQ(whole.count(), child.result().count);
  EXPECT_NEAR(static_cast<double>(whole.sum()),
              static_cast<double>(woken.sum() + delay.sum() + delivered.sum()),
              static_cast<double>(child.result().count * 1000));
}

// Two threads on one CPU, each with its own epoll on one socket: both are woken for every byte, the
// first to run takes it.
TEST(Truth, EmptyWakeUpsAreCounted) {
  covers({"empty wake-ups"});
  static constexpr int kBytes = 31;
  Child<Bounds> child([](Bounds& times) {
    const Pair pair = unix_pair();
    const int cpu = a_cpu();
    std::atomic<int> taken{0};
    std::vector<Waiter> waiters(2);
    const auto wait = [&](size_t index) {
      pin(cpu);
      waiters[index].tid = gettid();
      const int epoll = epoll_create1(0);
      watch(epoll, pair.near, EPOLLIN);
      epoll_event event;
      while (taken < kBytes) {
        if (epoll_wait(epoll, &event, 1, 200) <= 0) continue;
        char byte = 0;
        if (recv(pair.near, &byte, 1, MSG_DONTWAIT) == 1) ++taken;
      }
    };
    std::thread first(wait, 0);
    std::thread second(wait, 1);
    std::thread(write_and_hog, pair.far, cpu, kBytes, std::ref(waiters), std::ref(times)).join();
    first.join();
    second.join();
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  SKIP_WITHOUT_REALTIME(child);
  const model::WorkerStats stats = total(*probe);
  // They preempt each other, also where a program of the probe runs: then the kernel leaves the
  // other out, and counts it.
  EXPECT_GE(stats.counters[EPOLL_COUNTER_DELIVERIES] + probe->read().losses.runs_missed,
            static_cast<uint64_t>(kBytes));
  // The two may swap places in between, so not exactly one a byte; on an emulated CPU more often.
  const double swaps = slack_ns() > 1'000'000 ? 8 : 3;
  EXPECT_NEAR(static_cast<double>(stats.counters[EPOLL_COUNTER_EMPTY_WAKEUPS]), kBytes, swaps);
}

TEST(Truth, ATimeoutIsNoEmptyWakeUp) {
  covers({"empty wake-ups"});
  Child<int> child([](int&) {
    const int epoll = epoll_create1(0);
    epoll_event event;
    for (int round = 0; round < kRounds; ++round) require(epoll_wait(epoll, &event, 1, 2) == 0);
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::WorkerStats stats = total(*probe);
  EXPECT_EQ(stats.counters[EPOLL_COUNTER_TIMEOUTS], static_cast<uint64_t>(kRounds));
  EXPECT_EQ(stats.counters[EPOLL_COUNTER_EMPTY_WAKEUPS], 0U);
}

// What became ready in waits that the probe did not see must not age what comes later.
TEST(Truth, AttachedWhileTheThreadIsBlockedNothingIsOld) {
  Child<int> child([](int&) {
    const int epoll = epoll_create1(0);
    const Pair pair = unix_pair();
    watch(epoll, pair.near, EPOLLIN | EPOLLET);
    std::thread waiter([&] {
      epoll_event event;
      for (int wait = 0; wait < 4; ++wait) {
        require(epoll_wait(epoll, &event, 1, 5000) == 1);
        read_byte(pair.near);
      }
    });
    // The first write comes after the second process has attached, into a wait it has not seen
    // begin.
    for (int write = 0; write < 4; ++write) {
      sleep_ns(700'000'000);
      write_byte(pair.far);
    }
    waiter.join();
  });
  std::thread work([&] { EXPECT_TRUE(child.work()); });
  sleep_ns(50'000'000);
  const auto attached = attach(child.pid());
  work.join();
  const auto& probe = attached.probe;
  if (!probe) GTEST_SKIP() << attached.plan.why;
  const model::WorkerStats stats = total(*probe);
  // How many it saw whole depends on how long loading took.
  EXPECT_GE(stats.counters[EPOLL_COUNTER_DELIVERIES], 1U);
  EXPECT_LT(stats.stages[EPOLL_STAGE_READY_TO_DELIVERED].max(), 350'000'000U);
  EXPECT_LT(stats.stages[EPOLL_STAGE_READY_TO_WOKEN].max(), 350'000'000U);
}

// Two processes watch one socket exclusively; the kernel signals the first alone.
TEST(Truth, AnExclusiveWatcherThatWasNotSignalledIsNotReady) {
  const Pair shared = unix_pair();
  Child<int> first([&](int&) {
    const int epoll = epoll_create1(0);
    watch(epoll, shared.near, EPOLLIN | EPOLLEXCLUSIVE);
    epoll_event event;
    for (int wait = 0; wait < 20; ++wait) {
      if (epoll_wait(epoll, &event, 1, 100) != 1) continue;
      char byte = 0;
      require(recv(shared.near, &byte, 1, MSG_DONTWAIT) <= 1);
    }
  });
  Child<int> target([&](int&) {
    const int epoll = epoll_create1(0);
    watch(epoll, shared.near, EPOLLIN | EPOLLEXCLUSIVE);
    const Pair own = unix_pair();
    watch(epoll, own.near, EPOLLIN);
    std::thread writer([&] {
      for (int write = 0; write < 3; ++write) {
        sleep_ns(30'000'000);
        write_byte(shared.far);
        sleep_ns(400'000'000);
        write_byte(own.far);
      }
    });
    epoll_event event;
    for (int delivered = 0; delivered < 3;) {
      require(epoll_wait(epoll, &event, 1, 5000) == 1);
      if (event.data.fd == shared.near) {
        char byte = 0;
        require(recv(shared.near, &byte, 1, MSG_DONTWAIT) <= 1);
      } else {
        read_byte(own.near);
        ++delivered;
      }
    }
    writer.join();
  });
  ATTACH_OR_SKIP(probe, target.pid());
  std::thread other([&] { EXPECT_TRUE(first.work()); });
  sleep_ns(20'000'000);  // the first has registered first
  ASSERT_TRUE(target.work());
  other.join();
  const model::WorkerStats stats = total(*probe);
  EXPECT_GE(stats.counters[EPOLL_COUNTER_DELIVERIES], 3U);
  EXPECT_LT(stats.stages[EPOLL_STAGE_READY_TO_DELIVERED].max(), 200'000'000U);
  EXPECT_LT(stats.stages[EPOLL_STAGE_READY_TO_WOKEN].max(), 200'000'000U);
}

// A level-triggered socket signals again before the handler has read: delivered once, ready once.
TEST(Truth, ASignalThatDeliversNothingIsNotAged) {
  Child<int> child([](int&) {
    const int epoll = epoll_create1(0);
    const Pair a = unix_pair();
    const Pair b = unix_pair();
    watch(epoll, a.near, EPOLLIN);
    watch(epoll, b.near, EPOLLIN);
    epoll_event events[2];
    for (int round = 0; round < 3; ++round) {
      write_byte(a.far);
      require(epoll_wait(epoll, events, 2, 1000) == 1);
      write_byte(a.far);
      read_byte(a.near);
      read_byte(a.near);
      sleep_ns(300'000'000);
      write_byte(b.far);
      require(epoll_wait(epoll, events, 2, 1000) == 1 && events[0].data.fd == b.near);
      read_byte(b.near);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::WorkerStats stats = total(*probe);
  EXPECT_EQ(stats.counters[EPOLL_COUNTER_DELIVERIES], 6U);
  EXPECT_EQ(stats.items[EPOLL_ITEMS_FRESH].sum(), 6U);
  EXPECT_LT(stats.stages[EPOLL_STAGE_READY_TO_DELIVERED].max(), 150'000'000U);
  EXPECT_EQ(stats.counters[EPOLL_COUNTER_UNTIMED], 3U);
}

}  // namespace
}  // namespace epulse::test
