// Known workloads against the probe: what a test program does exactly must come out exactly.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "agent/error.hpp"
#include "agent/kernel/sched_sampler.hpp"
#include "agent/probes/attach.hpp"
#include "tests/integration/child.hpp"

namespace epulse::test {
namespace {

using kernel::monotonic_ns;

constexpr int kRounds = 13;

// Inside a child, a failed check ends it: the parent sees work() fail.
void require(bool condition) {
  if (!condition) _exit(3);
}

struct Pair {
  int near;  // in the epoll set
  int far;   // written to
};

Pair unix_pair() {
  int fds[2];
  require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
  return {fds[0], fds[1]};
}

Pair tcp_pair() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  require(bind(listener, generic, length) == 0 && listen(listener, 1) == 0);
  require(getsockname(listener, generic, &length) == 0);
  const int far = socket(AF_INET, SOCK_STREAM, 0);
  require(connect(far, generic, length) == 0);
  const int near = accept(listener, nullptr, nullptr);
  require(near >= 0);
  close(listener);
  return {near, far};
}

void write_byte(int fd) {
  require(write(fd, "x", 1) == 1);
}

void read_byte(int fd) {
  char byte = 0;
  require(read(fd, &byte, 1) == 1);
}

void watch(int epoll, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  require(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

void sleep_ns(uint64_t ns) {
  const timespec span{static_cast<time_t>(ns / 1'000'000'000),
                      static_cast<long>(ns % 1'000'000'000)};
  nanosleep(&span, nullptr);
}

// The backend under test: EPULSE_BACKEND, else the best that this host has.
const char* wanted_backend() {
  const char* name = getenv("EPULSE_BACKEND");
  return name == nullptr ? "auto" : name;
}

// The probe on `pid`; none where the host has no BPF (plan.why). One that was asked for by name and
// is not there is a failure, not a skip.
probes::Attached attach(
    pid_t pid, probes::EpollProbeOptions options = {},
    probes::EpollProbe::WaitHandler handler = [](const epoll_wait_record&) {}) {
  options.tgid = pid;
  return probes::attach(options, wanted_backend(), std::move(handler));
}

#define ATTACH_OR_SKIP(probe, ...)           \
  const auto attached = attach(__VA_ARGS__); \
  const auto& probe = attached.probe;        \
  if (!probe) GTEST_SKIP() << attached.plan.why

// All workers of the process, summed.
model::WorkerStats total(probes::EpollProbe& probe) {
  model::WorkerStats sum;
  for (const auto& worker : probe.read().workers) sum.merge(worker);
  return sum;
}

void expect_close(uint64_t measured_ns, uint64_t expected_ns, const char* what) {
  const double tolerance = std::max(0.05 * static_cast<double>(expected_ns), 20'000.0);
  EXPECT_NEAR(static_cast<double>(measured_ns), static_cast<double>(expected_ns), tolerance)
      << what;
}

// ---- depth and batch ----

struct DepthCase {
  int sockets;
  uint32_t trigger;  // 0: level
  bool tcp;
};

class Depth : public testing::TestWithParam<DepthCase> {};

TEST_P(Depth, ComesOutExactly) {
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
  struct Result {
    uint64_t oldest_ns;  // of the last batch
  };
  Child<Result> child([&](Result& result) {
    const int epoll = epoll_create1(0);
    std::vector<Pair> pairs;
    for (int i = 0; i < 61; ++i) {
      pairs.push_back(unix_pair());
      watch(epoll, pairs.back().near, EPOLLIN | GetParam());
    }
    uint64_t last_written_ns = 0;
    for (size_t i = 0; i < pairs.size(); ++i) {
      if (i == 48) sleep_ns(20'000'000);  // the last batch is younger than the first
      if (i == 48) last_written_ns = monotonic_ns();
      write_byte(pairs[i].far);
    }
    epoll_event events[16];
    for (const int expected : {16, 16, 16, 13}) {
      sleep_ns(5'000'000);
      require(epoll_wait(epoll, events, 16, 1000) == expected);
      if (expected == 13) result.oldest_ns = monotonic_ns() - last_written_ns;
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
    expect_close(age.quantile(0.01), child.result().oldest_ns, "age of the youngest batch");
  }
}

INSTANTIATE_TEST_SUITE_P(Truth, Backlog, testing::Values(0U, static_cast<uint32_t>(EPOLLET)),
                         [](const auto& param) { return param.param == 0 ? "Level" : "Edge"; });

TEST(Truth, SourcesThatAreNoSocketsCountInDepthAndBatch) {
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

// ---- stages ----

struct Times {
  uint64_t sum_ns;
  uint64_t count;
  int skipped;
};

TEST(Truth, ReadyToDeliveredWhenTheThreadIsBusy) {
  Child<Times> child([](Times& times) {
    const int epoll = epoll_create1(0);
    const Pair pair = tcp_pair();
    watch(epoll, pair.near, EPOLLIN);
    epoll_event event;
    for (const uint64_t delay_ms : {1U, 3U, 10U, 30U}) {
      const uint64_t start = monotonic_ns();
      write_byte(pair.far);
      sleep_ns(delay_ms * 1'000'000);
      require(epoll_wait(epoll, &event, 1, 1000) == 1);
      times.sum_ns += monotonic_ns() - start;
      ++times.count;
      read_byte(pair.near);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const auto age = total(*probe).stages[EPOLL_STAGE_READY_TO_DELIVERED];
  ASSERT_EQ(age.count(), child.result().count);
  expect_close(age.sum() / age.count(), child.result().sum_ns / age.count(), "mean age");
}

TEST(Truth, HandlerTimeIsBetweenReturnAndNextWait) {
  Child<Times> child([](Times& times) {
    const int epoll = epoll_create1(0);
    const Pair pair = unix_pair();
    watch(epoll, pair.near, EPOLLIN);
    epoll_event event;
    uint64_t returned = 0;
    for (int round = 0; round <= 8; ++round) {
      write_byte(pair.far);
      if (returned != 0) {
        times.sum_ns += monotonic_ns() - returned;
        ++times.count;
      }
      require(epoll_wait(epoll, &event, 1, 1000) == 1);
      returned = monotonic_ns();
      read_byte(pair.near);
      sleep_ns(5'000'000);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const auto handler = total(*probe).stages[EPOLL_STAGE_HANDLER];
  ASSERT_EQ(handler.count(), child.result().count);
  expect_close(handler.sum() / handler.count(), child.result().sum_ns / handler.count(), "mean");
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

// A real-time thread on the waiters' CPU: writes a byte, keeps the CPU for a known time, sleeps,
// again. Whoever waits for the byte is woken at once and runs when the hog sleeps. `times` gets how
// long it kept the CPU, or why it could not.
void write_and_hog(int fd, int cpu, int rounds, Times& times) {
  pin(cpu);
  const sched_param priority{1};
  if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0) times.skipped = errno;
  for (int round = 0; round < rounds; ++round) {
    sleep_ns(20'000'000);  // the waiters are back in epoll_wait
    write_byte(fd);
    const uint64_t written = monotonic_ns();
    while (times.skipped == 0 && monotonic_ns() < written + 8'000'000) {
    }
    times.sum_ns += monotonic_ns() - written;
    ++times.count;
  }
}

#define SKIP_WITHOUT_REALTIME(child)                                       \
  if (const int error = (child).result().skipped; error != 0) {            \
    GTEST_SKIP() << "no real-time scheduling here: " << errno_text(error); \
  }

TEST(Truth, WokenToRunningIsTheRunQueueDelay) {
  Child<Times> child([](Times& times) {
    constexpr int kWaits = 5;
    const int epoll = epoll_create1(0);
    const Pair pair = unix_pair();
    watch(epoll, pair.near, EPOLLIN);
    const int cpu = a_cpu();
    std::thread waiter([&] {
      pin(cpu);
      epoll_event event;
      for (int wait = 0; wait < kWaits; ++wait) {
        require(epoll_wait(epoll, &event, 1, 5000) == 1);
        read_byte(pair.near);
      }
    });
    std::thread(write_and_hog, pair.far, cpu, kWaits, std::ref(times)).join();
    waiter.join();
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  SKIP_WITHOUT_REALTIME(child);
  const model::WorkerStats stats = total(*probe);
  const auto& delay = stats.stages[EPOLL_STAGE_WOKEN_TO_RUNNING];
  ASSERT_EQ(delay.count(), child.result().count);
  EXPECT_EQ(stats.counters[EPOLL_COUNTER_WAKEUPS], child.result().count);
  expect_close(delay.sum() / delay.count(), child.result().sum_ns / delay.count(), "mean");
  EXPECT_EQ(stats.stages[EPOLL_STAGE_READY_TO_WOKEN].count(), child.result().count);
  EXPECT_LT(stats.stages[EPOLL_STAGE_READY_TO_WOKEN].mean(), 1'000'000);
}

// Two threads on one CPU, each with its own epoll on one socket: both are woken for every byte, the
// first to run takes it.
TEST(Truth, EmptyWakeUpsAreCounted) {
  static constexpr int kBytes = 31;
  Child<Times> child([](Times& times) {
    const Pair pair = unix_pair();
    const int cpu = a_cpu();
    std::atomic<int> taken{0};
    const auto wait = [&] {
      pin(cpu);
      const int epoll = epoll_create1(0);
      watch(epoll, pair.near, EPOLLIN);
      epoll_event event;
      while (taken < kBytes) {
        if (epoll_wait(epoll, &event, 1, 200) <= 0) continue;
        char byte = 0;
        if (recv(pair.near, &byte, 1, MSG_DONTWAIT) == 1) ++taken;
      }
    };
    std::thread first(wait);
    std::thread second(wait);
    std::thread(write_and_hog, pair.far, cpu, kBytes, std::ref(times)).join();
    first.join();
    second.join();
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  SKIP_WITHOUT_REALTIME(child);
  const model::WorkerStats stats = total(*probe);
  EXPECT_GE(stats.counters[EPOLL_COUNTER_DELIVERIES], static_cast<uint64_t>(kBytes));
  // The two may swap places in between, so not exactly one a byte.
  EXPECT_NEAR(static_cast<double>(stats.counters[EPOLL_COUNTER_EMPTY_WAKEUPS]), kBytes, 3);
}

TEST(Truth, ATimeoutIsNoEmptyWakeUp) {
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

// ---- threads and losses ----

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
    for (int write = 0; write < 200'000; ++write) {
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
