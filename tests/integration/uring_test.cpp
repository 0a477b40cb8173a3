// Known use of rings against the io_uring probe: what a test program does exactly must come out
// exactly.
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "agent/error.hpp"
#include "agent/kernel/sched_sampler.hpp"
#include "agent/probes/uring_probe.hpp"
#include "agent/probes/uring_variants.hpp"
#include "tests/integration/child.hpp"
#include "tests/integration/ring.hpp"

namespace epulse::test {
namespace {

using kernel::monotonic_ns;

constexpr int kRounds = 13;
constexpr uint64_t kDelayNs = 20'000'000;

// Inside a child, a failed check ends it: the parent sees work() fail.
void require(bool condition) {
  if (!condition) _exit(3);
}

void sleep_ns(uint64_t ns) {
  const timespec span{static_cast<time_t>(ns / 1'000'000'000),
                      static_cast<long>(ns % 1'000'000'000)};
  nanosleep(&span, nullptr);
}

// Sockets, since reading an empty pipe goes through io-wq up to 6.3.
struct Pipe {
  Pipe() {
    int fds[2];
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    read_end = fds[0];
    write_end = fds[1];
  }
  void put(size_t bytes = 1) const {
    require(write(write_end, std::string(bytes, 'x').data(), bytes) == static_cast<ssize_t>(bytes));
  }
  void take() const {
    char byte = 0;
    require(read(read_end, &byte, 1) == 1);
  }
  int read_end;
  int write_end;
};

io_uring_sqe& add_read(Ring& ring, int fd, void* buffer, uint64_t user_data = 0) {
  io_uring_sqe& sqe = ring.add(IORING_OP_READ, user_data);
  sqe.fd = fd;
  sqe.addr = reinterpret_cast<uint64_t>(buffer);
  sqe.len = 1;
  sqe.off = ~0ULL;
  return sqe;
}

std::string cause;  // of the last attach that failed

std::unique_ptr<probes::UringProbe> attach(pid_t pid, bool wait_for_rings = false) {
  try {
    return std::make_unique<probes::UringProbe>(
        probes::UringProbeOptions{.tgid = pid, .wait_for_rings = wait_for_rings});
  } catch (const LoadError& error) {
    // Refused to everybody but root; to root, a refusal is a failure.
    if (geteuid() == 0) throw;
    cause = error.what();
    return nullptr;
  }
}

#define ATTACH_OR_SKIP(probe, ...)        \
  const auto probe = attach(__VA_ARGS__); \
  if (!probe) GTEST_SKIP() << "no io_uring probe: " << cause

model::RingUserStats total(const model::UringSnapshot& snapshot) {
  const model::UringLosses& losses = snapshot.losses;
  EXPECT_FALSE(losses.any()) << losses.rings_dropped << " rings, " << losses.users_dropped
                             << " users, " << losses.requests_dropped << " requests, "
                             << losses.runs_missed << " runs";
  model::RingUserStats sum;
  for (const auto& user : snapshot.users) sum.merge(user);
  return sum;
}

model::RingUserStats total(probes::UringProbe& probe) {
  return total(probe.read());
}

void expect_counter(const model::RingUserStats& stats, uring_counter which, uint64_t expected) {
  EXPECT_EQ(stats.counters[which], expected) << model::kUringCounterNames[which];
}

// Of `rounds` equal values.
void expect_each(const model::Histogram& histogram, uint64_t rounds, uint64_t value,
                 const char* what) {
  EXPECT_EQ(histogram.count(), rounds) << what;
  EXPECT_EQ(histogram.sum(), rounds * value) << what;
  EXPECT_EQ(histogram.quantile(0), value) << what;
  EXPECT_EQ(histogram.max(), value) << what;
}

// ---- counts and occupancy ----

enum class Mode { kPlain, kDefer, kSqpoll, kWorkers };

struct CountCase {
  unsigned requests;
  Mode mode;
  bool reads;
};

unsigned setup_flags(Mode mode) {
  if (mode == Mode::kDefer) return IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  return mode == Mode::kSqpoll ? IORING_SETUP_SQPOLL : 0;
}

uint8_t sqe_flags(Mode mode) {
  return mode == Mode::kWorkers ? IOSQE_ASYNC : 0;
}

std::string mode_name(Mode mode) {
  switch (mode) {
    case Mode::kPlain:
      return "Plain";
    case Mode::kDefer:
      return "Defer";
    case Mode::kSqpoll:
      return "Sqpoll";
    default:
      return "Workers";
  }
}

// Kernels before 6.1 refuse DEFER_TASKRUN.
bool refuses(Mode mode) {
  io_uring_params params{};
  params.flags = setup_flags(mode);
  const long fd = syscall(SYS_io_uring_setup, 1, &params);
  if (fd >= 0) close(static_cast<int>(fd));
  return fd < 0;
}

#define SKIP_IF_REFUSED(mode) \
  if (refuses(mode)) GTEST_SKIP() << "this kernel has no such rings"

class Counts : public testing::TestWithParam<CountCase> {};

TEST_P(Counts, ComeOutExactly) {
  const CountCase param = GetParam();
  SKIP_IF_REFUSED(param.mode);
  Child<int> child([&](int&) {
    const Pipe pipe;
    char byte = 0;
    Ring ring(512, setup_flags(param.mode));
    for (int round = 0; round < kRounds; ++round) {
      if (param.reads) pipe.put(param.requests);  // at once: what a socket takes is limited
      for (unsigned i = 0; i < param.requests; ++i) {
        if (param.reads) {
          add_read(ring, pipe.read_end, &byte, i);
        } else {
          ring.add(IORING_OP_NOP, i);
        }
      }
      if (param.mode == Mode::kSqpoll) ring.publish_and_wake();
      ring.submit_and_wait(param.requests);
      require(ring.ready() == param.requests);
      ring.reap(param.requests);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::RingUserStats stats = total(*probe);
  const uint64_t n = param.requests;
  expect_counter(stats, URING_COUNTER_SUBMISSIONS, n * kRounds);
  expect_counter(stats, URING_COUNTER_COMPLETIONS, n * kRounds);
  for (const auto none : {URING_COUNTER_REJECTED, URING_COUNTER_FURTHER, URING_COUNTER_UNTIMED,
                          URING_COUNTER_OVERFLOWS, URING_COUNTER_SQ_DROPPED, URING_COUNTER_PUNTS,
                          URING_COUNTER_UNTIMED_REAPS, URING_COUNTER_INVALID}) {
    expect_counter(stats, none, 0);
  }
  expect_each(stats.items[URING_ITEMS_SQ], kRounds, n, "SQ occupancy");
  expect_each(stats.items[URING_ITEMS_REAPED], kRounds, n, "reaped");
  EXPECT_EQ(stats.items[URING_ITEMS_CQ_POSTED].count(), n * kRounds);
  EXPECT_EQ(stats.items[URING_ITEMS_CQ_POSTED].sum(), n * (n + 1) / 2 * kRounds);
  EXPECT_EQ(stats.items[URING_ITEMS_CQ_POSTED].max(), n);
  EXPECT_EQ(stats.stages[URING_STAGE_SUBMIT_TO_COMPLETE].count(), n * kRounds);
  EXPECT_EQ(stats.stages[URING_STAGE_COMPLETE_TO_REAP].count(), uint64_t{kRounds});
  EXPECT_EQ(stats.stages[URING_STAGE_COMPLETE_TO_RETURN].count(), uint64_t{kRounds});
  if (param.mode != Mode::kSqpoll) {  // there the waker may return with some of them
    expect_counter(stats, URING_COUNTER_ENTERS, kRounds);
    expect_each(stats.items[URING_ITEMS_CQ_RETURNED], kRounds, n, "CQ occupancy");
  } else {
    EXPECT_EQ(stats.items[URING_ITEMS_CQ_RETURNED].max(), n);
  }
}

std::vector<CountCase> count_cases() {
  std::vector<CountCase> cases;
  for (const unsigned requests : {1U, 2U, 7U, 61U, 509U}) {
    for (const Mode mode : {Mode::kPlain, Mode::kDefer, Mode::kSqpoll}) {
      for (const bool reads : {false, true}) cases.push_back({requests, mode, reads});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Uring, Counts, testing::ValuesIn(count_cases()), [](const auto& param) {
  return fmt::format("{}{}{}", param.param.requests, mode_name(param.param.mode),
                     param.param.reads ? "Reads" : "Nops");
});

TEST(Uring, WorkersCompleteForTheThreadThatSubmitted) {
  Child<int> child([](int&) {
    Ring ring(64);
    for (int round = 0; round < kRounds; ++round) {
      for (uint64_t i = 0; i < 7; ++i) ring.add(IORING_OP_NOP, i).flags = IOSQE_ASYNC;
      ring.submit_and_wait(7);
      ring.reap(7);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::UringSnapshot snapshot = probe->read();
  ASSERT_EQ(snapshot.users.size(), 1U);
  EXPECT_EQ(snapshot.users[0].key.tid, static_cast<uint32_t>(child.pid()));
  const model::RingUserStats stats = total(snapshot);
  expect_counter(stats, URING_COUNTER_PUNTS, uint64_t{7} * kRounds);
  expect_counter(stats, URING_COUNTER_COMPLETIONS, uint64_t{7} * kRounds);
  expect_counter(stats, URING_COUNTER_UNTIMED, 0);
  EXPECT_EQ(stats.stages[URING_STAGE_SUBMIT_TO_COMPLETE].count(), 7U * kRounds);
}

TEST(Uring, WithSqpollTheKernelsThreadSubmitsAndTheApplicationReaps) {
  Child<int> child([](int&) {
    Ring ring(64, IORING_SETUP_SQPOLL);
    for (int round = 0; round < kRounds; ++round) {
      for (uint64_t i = 0; i < 7; ++i) ring.add(IORING_OP_NOP, i);
      ring.publish_and_wake();
      ring.wait(7);
      ring.reap(7);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::UringSnapshot snapshot = probe->read();
  ASSERT_EQ(snapshot.users.size(), 2U);
  for (const auto& user : snapshot.users) {
    EXPECT_EQ(model::ring_mode(user.setup_flags), "SQPOLL");
    const bool application = user.key.tid == static_cast<uint32_t>(child.pid());
    expect_counter(user, URING_COUNTER_SUBMISSIONS, application ? 0 : 7 * kRounds);
    expect_counter(user, URING_COUNTER_COMPLETIONS, application ? 0 : 7 * kRounds);
    EXPECT_EQ(user.items[URING_ITEMS_REAPED].sum(), application ? 7U * kRounds : 0U);
  }
}

// Hardly a system call of the application from the first round to the last.
TEST(Uring, WithSqpollReapsAreSeenFromCompletions) {
  Child<int> child([](int&) {
    Ring ring(64, IORING_SETUP_SQPOLL);
    for (int round = 0; round < kRounds; ++round) {
      ring.add(IORING_OP_NOP);
      ring.publish_and_wake();
      while (ring.ready() == 0) {
      }
      ring.reap(1);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::RingUserStats stats = total(*probe);
  expect_each(stats.items[URING_ITEMS_REAPED], kRounds, 1, "reaped");
  EXPECT_EQ(stats.stages[URING_STAGE_COMPLETE_TO_REAP].count(), uint64_t{kRounds});
}

TEST(Uring, ThreadsAreToldApart) {
  static constexpr unsigned kThreads = 3;
  Child<int> child([](int&) {
    std::vector<std::thread> threads;
    std::atomic<unsigned> done{0};
    for (unsigned n = 1; n <= kThreads; ++n) {
      threads.emplace_back([n, &done] {
        Ring ring(64);
        for (unsigned i = 0; i < n * 7; ++i) ring.add(IORING_OP_NOP);
        ring.submit_and_wait(n * 7);
        ring.reap(n * 7);
        ++done;
        while (done < kThreads) sleep_ns(1'000'000);  // so that no ring's address is used again
      });
    }
    for (auto& thread : threads) thread.join();
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::UringSnapshot snapshot = probe->read();
  ASSERT_EQ(snapshot.users.size(), kThreads);
  std::set<uint64_t> submissions;
  std::set<uint32_t> tids{static_cast<uint32_t>(child.pid())};
  for (const auto& user : snapshot.users) {
    submissions.insert(user.counters[URING_COUNTER_SUBMISSIONS]);
    EXPECT_TRUE(tids.insert(user.key.tid).second);
    EXPECT_EQ(user.items[URING_ITEMS_REAPED].sum(), user.counters[URING_COUNTER_SUBMISSIONS]);
  }
  EXPECT_EQ(submissions, (std::set<uint64_t>{7, 14, 21}));
}

TEST(Uring, ARegisteredDescriptorIsTheSameRing) {
  if (!Ring(1).register_descriptor()) GTEST_SKIP() << "this kernel registers no rings";
  Child<int> child([](int&) {
    Ring ring(64);
    require(ring.register_descriptor());
    for (int round = 0; round < kRounds; ++round) {
      ring.add(IORING_OP_NOP);
      ring.submit_and_wait(1);
      ring.reap(1);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::RingUserStats stats = total(*probe);
  expect_counter(stats, URING_COUNTER_ENTERS, kRounds);
  expect_each(stats.items[URING_ITEMS_CQ_RETURNED], kRounds, 1, "CQ occupancy");
}

TEST(Uring, RejectedAndDroppedSubmissionsAreCounted) {
  if (probes::detect_uring_tracepoints().req_failed == 0) {
    GTEST_SKIP() << "this kernel has no tracepoint for rejected submissions";
  }
  Child<int> child([](int&) {
    Ring ring(64);
    for (int i = 0; i < 7; ++i) {
      ring.add(255);
      ring.submit_and_wait(1);
      require(ring.cqe(0).res == -EINVAL);
      ring.reap(1);
    }
    for (int i = 0; i < 2; ++i) {
      ring.add_bad_index();
      ring.enter(ring.publish(), 0, 0);
    }
    ring.add(IORING_OP_NOP);
    ring.submit_and_wait(1);
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::RingUserStats stats = total(*probe);
  expect_counter(stats, URING_COUNTER_SUBMISSIONS, 8);
  expect_counter(stats, URING_COUNTER_REJECTED, 7);
  expect_counter(stats, URING_COUNTER_SQ_DROPPED, 2);
  expect_counter(stats, URING_COUNTER_COMPLETIONS, 8);
  expect_counter(stats, URING_COUNTER_UNTIMED, 0);
}

// ---- overflow ----

class Overflow : public testing::TestWithParam<Mode> {};

TEST_P(Overflow, IsCountedExactly) {
  SKIP_IF_REFUSED(GetParam());
  Child<int> child([](int&) {
    Ring ring(8, setup_flags(GetParam()), 8);
    // Not asking for events: that would have the kernel flush.
    for (int i = 0; i < 61; ++i) {
      ring.add(IORING_OP_NOP);
      require(ring.enter(ring.publish(), 0, 0) == 1);
    }
    for (unsigned reaped = 0; reaped < 61;) {
      require(ring.enter(0, 1, IORING_ENTER_GETEVENTS) == 0);
      reaped += ring.ready();
      ring.reap(ring.ready());
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::RingUserStats stats = total(*probe);
  expect_counter(stats, URING_COUNTER_SUBMISSIONS, 61);
  expect_counter(stats, URING_COUNTER_COMPLETIONS, 8);
  expect_counter(stats, URING_COUNTER_OVERFLOWS, 53);
  expect_counter(stats, URING_COUNTER_INVALID, 0);
  EXPECT_EQ(stats.items[URING_ITEMS_CQ_POSTED].max(), 8U);
  EXPECT_EQ(stats.items[URING_ITEMS_REAPED].sum(), 61U);
  // The oldest of the first eight has a posting time, what overflowed has not.
  EXPECT_EQ(stats.stages[URING_STAGE_COMPLETE_TO_REAP].count(), 1U);
  expect_counter(stats, URING_COUNTER_UNTIMED_REAPS, stats.items[URING_ITEMS_REAPED].count() - 1);
}

INSTANTIATE_TEST_SUITE_P(Uring, Overflow, testing::Values(Mode::kPlain, Mode::kDefer),
                         [](const auto& param) { return mode_name(param.param); });

// ---- latencies ----

// What the child knows of a delay: it began and ended between two looks at the clock each. Sums.
struct Times {
  uint64_t least_ns;
  uint64_t most_ns;
  uint64_t count;
  void add(uint64_t begin_before, uint64_t begin_after, uint64_t end_before, uint64_t end_after) {
    least_ns += end_before - begin_after;
    most_ns += end_after - begin_before;
    ++count;
  }
};

void expect_within(const model::Histogram& measured, const Times& times) {
  ASSERT_EQ(measured.count(), times.count);
  const auto mean = [&](uint64_t sum) {
    return static_cast<double>(sum) / static_cast<double>(times.count);
  };
  const double tolerance = std::max(0.05 * mean(times.least_ns), static_cast<double>(slack_ns()));
  EXPECT_GE(measured.mean(), mean(times.least_ns) - tolerance);
  EXPECT_LE(measured.mean(), mean(times.most_ns) + tolerance);
}

// Has the kernel take what was added; returns when it has, without waiting for completions.
void submit(Ring& ring, Mode mode) {
  if (mode == Mode::kSqpoll) {
    ring.publish_and_wake();
    while (!ring.taken()) sched_yield();
  } else {
    ring.submit_and_wait(0);
  }
}

class Delay : public testing::TestWithParam<Mode> {};

TEST_P(Delay, FromCompletionToReap) {
  SKIP_IF_REFUSED(GetParam());
  Child<Times> child([](Times& times) {
    Ring ring(64, setup_flags(GetParam()));
    for (int round = 0; round < kRounds; ++round) {
      ring.add(IORING_OP_NOP).flags = sqe_flags(GetParam());
      const uint64_t before = monotonic_ns();
      submit(ring, GetParam());
      ring.wait(1);
      const uint64_t completed = monotonic_ns();
      sleep_ns(kDelayNs);
      const uint64_t reaping = monotonic_ns();
      ring.reap(1);
      getppid();  // a system call, any: the application comes by the kernel
      times.add(before, completed, reaping, monotonic_ns());
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  expect_within(total(*probe).stages[URING_STAGE_COMPLETE_TO_REAP], child.result());
}

// The other end is written to after a known time.
TEST_P(Delay, FromSubmissionToCompletionOfARead) {
  SKIP_IF_REFUSED(GetParam());
  Child<Times> child([](Times& times) {
    Ring ring(64, setup_flags(GetParam()));
    const Pipe pipe;
    char byte = 0;
    for (int round = 0; round < kRounds; ++round) {
      add_read(ring, pipe.read_end, &byte).flags = sqe_flags(GetParam());
      const uint64_t before = monotonic_ns();
      submit(ring, GetParam());
      const uint64_t submitted = monotonic_ns();
      uint64_t writing = 0;
      std::thread writer([&] {
        sleep_ns(kDelayNs);
        writing = monotonic_ns();
        pipe.put();
      });
      ring.wait(1);
      const uint64_t completed = monotonic_ns();
      ring.reap(1);
      writer.join();
      times.add(before, submitted, writing, completed);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::RingUserStats stats = total(*probe);
  expect_within(stats.stages[URING_STAGE_SUBMIT_TO_COMPLETE], child.result());
  expect_counter(stats, URING_COUNTER_WAITS, kRounds);
  if (GetParam() == Mode::kWorkers) {
    // Once to find nothing to read, once more when there is; a kernel may do with one.
    EXPECT_GE(stats.counters[URING_COUNTER_PUNTS], uint64_t{kRounds});
  } else {
    expect_counter(stats, URING_COUNTER_PUNTS, 0);
  }
  // It slept until the CQE came.
  EXPECT_EQ(stats.stages[URING_STAGE_COMPLETE_TO_RETURN].count(), uint64_t{kRounds});
  EXPECT_LT(stats.stages[URING_STAGE_COMPLETE_TO_RETURN].quantile(0.5),
            std::max<uint64_t>(5'000'000, 5 * slack_ns()));
}

TEST_P(Delay, FromSubmissionToCompletionOfATimeout) {
  SKIP_IF_REFUSED(GetParam());
  Child<Times> child([](Times& times) {
    Ring ring(64, setup_flags(GetParam()));
    const timespec span{0, kDelayNs};
    for (int round = 0; round < kRounds; ++round) {
      io_uring_sqe& sqe = ring.add(IORING_OP_TIMEOUT);
      sqe.addr = reinterpret_cast<uint64_t>(&span);
      sqe.len = 1;
      sqe.flags = sqe_flags(GetParam());
      const uint64_t before = monotonic_ns();
      submit(ring, GetParam());
      const uint64_t submitted = monotonic_ns();
      ring.wait(1);
      require(ring.cqe(0).res == -ETIME);
      ring.reap(1);
      times.add(before, submitted, std::max(before + kDelayNs, submitted), monotonic_ns());
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  expect_within(total(*probe).stages[URING_STAGE_SUBMIT_TO_COMPLETE], child.result());
}

INSTANTIATE_TEST_SUITE_P(Uring, Delay,
                         testing::Values(Mode::kPlain, Mode::kDefer, Mode::kSqpoll, Mode::kWorkers),
                         [](const auto& param) { return mode_name(param.param); });

// ---- multishot ----

void add_poll(Ring& ring, int fd, uint64_t user_data) {
  io_uring_sqe& sqe = ring.add(IORING_OP_POLL_ADD, user_data);
  sqe.fd = fd;
  sqe.poll32_events = POLLIN;
  sqe.len = IORING_POLL_ADD_MULTI;
}

class Multishot : public testing::TestWithParam<Mode> {};

TEST_P(Multishot, OnlyTheFirstCompletionIsTimed) {
  SKIP_IF_REFUSED(GetParam());
  Child<Times> child([](Times& times) {
    Ring ring(64, setup_flags(GetParam()));
    const Pipe pipe;
    add_poll(ring, pipe.read_end, 1);
    const uint64_t before = monotonic_ns();
    require(ring.enter(ring.publish(), 0, 0) == 1);
    const uint64_t submitted = monotonic_ns();
    for (int shot = 0; shot < 7; ++shot) {
      sleep_ns(kDelayNs);
      const uint64_t writing = monotonic_ns();
      pipe.put();
      ring.wait(1);
      if (shot == 0) times.add(before, submitted, writing, monotonic_ns());
      require(ring.ready() == 1 && (ring.cqe(0).flags & IORING_CQE_F_MORE) != 0);
      pipe.take();
      ring.reap(1);
    }
    ring.add(IORING_OP_POLL_REMOVE, 2).addr = 1;
    ring.submit_and_wait(2);
    ring.reap(2);
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::RingUserStats stats = total(*probe);
  expect_counter(stats, URING_COUNTER_SUBMISSIONS, 2);
  expect_counter(stats, URING_COUNTER_COMPLETIONS, 7 + 2);
  expect_counter(stats, URING_COUNTER_FURTHER, 7);
  expect_counter(stats, URING_COUNTER_UNTIMED, 0);
  const auto& latency = stats.stages[URING_STAGE_SUBMIT_TO_COMPLETE];
  EXPECT_EQ(latency.count(), 2U);
  EXPECT_GE(latency.max(), child.result().least_ns);
  EXPECT_LE(latency.max(), child.result().most_ns);
}

INSTANTIATE_TEST_SUITE_P(Uring, Multishot, testing::Values(Mode::kPlain, Mode::kDefer),
                         [](const auto& param) { return mode_name(param.param); });

// Two polls under one user_data: their completions do not say which is which, and when one ends, it
// is not known whether that is its first.
TEST(Uring, AmbiguousMultishotsAreUntimed) {
  Child<int> child([](int&) {
    Ring ring(64);
    const Pipe pipes[2];
    for (const Pipe& pipe : pipes) add_poll(ring, pipe.read_end, 1);
    ring.submit_and_wait(0);
    for (const Pipe& pipe : pipes) {
      pipe.put();
      ring.wait(1);
      ring.reap(1);
    }
    for (int i = 0; i < 2; ++i) {
      ring.add(IORING_OP_POLL_REMOVE, 2).addr = 1;
      ring.submit_and_wait(2);
      ring.reap(2);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::RingUserStats stats = total(*probe);
  expect_counter(stats, URING_COUNTER_COMPLETIONS, 2 + 2 + 2);
  expect_counter(stats, URING_COUNTER_UNTIMED, 2 + 2);
  EXPECT_EQ(stats.stages[URING_STAGE_SUBMIT_TO_COMPLETE].count(), 2U);  // the removals
}

// ---- what the probe has not seen, or must not believe ----

// The child gets to a known state, then waits for the probe to be attached.
struct Meeting {
  std::atomic<int> ready;
  std::atomic<int> go;
  void wait_for_probe() {
    ready = 1;
    while (go == 0) sleep_ns(1'000'000);
  }
};

// Attaches when the child is ready, lets it go on and finish.
std::unique_ptr<probes::UringProbe> attach_in_the_middle(Child<Meeting>& child) {
  auto* meeting = static_cast<Meeting*>(child.shared());
  bool worked = false;
  std::thread work([&] { worked = child.work(); });
  for (int i = 0; i < 10'000 && meeting->ready == 0; ++i) sleep_ns(1'000'000);
  std::unique_ptr<probes::UringProbe> probe;
  try {
    probe = attach(child.pid());
  } catch (const LoadError& error) {
    ADD_FAILURE() << error.what();
  }
  meeting->go = 1;
  work.join();
  EXPECT_TRUE(worked);
  return probe;
}

TEST(Uring, ARingThatWasThereBeforeIsKnown) {
  Child<Meeting> child([](Meeting& meeting) {
    Ring ring(64);
    const Pipe pipe;
    char byte = 0;
    for (int i = 0; i < 7; ++i) ring.add(IORING_OP_NOP);
    add_read(ring, pipe.read_end, &byte);
    ring.submit_and_wait(7);
    meeting.wait_for_probe();
    ring.reap(7);  // posted before
    pipe.put();
    ring.wait(1);
    ring.reap(1);  // submitted before
    for (int round = 0; round < kRounds; ++round) {
      ring.add(IORING_OP_NOP);
      ring.submit_and_wait(1);
      ring.reap(1);
    }
  });
  const auto probe = attach_in_the_middle(child);
  if (!probe) GTEST_SKIP() << "no io_uring probe: " << cause;
  const model::RingUserStats stats = total(*probe);
  EXPECT_EQ(probe->rings(), 1U);
  expect_counter(stats, URING_COUNTER_SUBMISSIONS, kRounds);
  expect_counter(stats, URING_COUNTER_COMPLETIONS, kRounds + 1);
  expect_counter(stats, URING_COUNTER_UNTIMED, 1);
  expect_counter(stats, URING_COUNTER_INVALID, 0);
  EXPECT_EQ(stats.stages[URING_STAGE_SUBMIT_TO_COMPLETE].count(), uint64_t{kRounds});
  EXPECT_EQ(stats.stages[URING_STAGE_COMPLETE_TO_REAP].count(), kRounds + 1U);
}

// Nobody submits or enters: only the list of open files tells whose ring it is.
TEST(Uring, OnARingThatWasThereBeforeCompletionsAloneAreSeen) {
  Child<Meeting> child([](Meeting& meeting) {
    Ring ring(64);
    const Pipe pipe;
    char byte = 0;
    add_read(ring, pipe.read_end, &byte);
    ring.submit_and_wait(0);
    meeting.wait_for_probe();
    pipe.put();
    while (ring.ready() == 0) sleep_ns(1'000'000);
  });
  const auto probe = attach_in_the_middle(child);
  if (!probe) GTEST_SKIP() << "no io_uring probe: " << cause;
  const model::RingUserStats stats = total(*probe);
  expect_counter(stats, URING_COUNTER_COMPLETIONS, 1);
  expect_counter(stats, URING_COUNTER_UNTIMED, 1);
}

TEST(Uring, AnotherProcessesRingsAreLeftAlone) {
  const auto work = [](int&) {
    Ring ring(64);
    for (int i = 0; i < 61; ++i) ring.add(IORING_OP_NOP);
    ring.submit_and_wait(61);
    ring.reap(61);
  };
  Child<int> other(work);
  Child<int> target([](int&) { getppid(); });
  Child<int> mixed(work);
  ATTACH_OR_SKIP(probe, target.pid());
  ATTACH_OR_SKIP(with_ring, mixed.pid());
  ASSERT_TRUE(mixed.work());
  ASSERT_TRUE(other.work());
  ASSERT_TRUE(target.work());
  EXPECT_TRUE(probe->read().users.empty());
  EXPECT_EQ(probe->rings(), 0U);
  expect_counter(total(*with_ring), URING_COUNTER_SUBMISSIONS, 61);
  EXPECT_EQ(with_ring->rings(), 1U);
}

TEST(Uring, AnAbsurdHeadIsNotBelieved) {
  Child<int> child([](int&) {
    Ring ring(64);
    ring.add(IORING_OP_NOP);
    ring.submit_and_wait(1);
    const unsigned head = ring.head();
    ring.set_head(head + 1'000'000);
    getppid();
    ring.set_head(head);
    getppid();
    ring.set_head(head + 1);
    getppid();
  });
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  const model::RingUserStats stats = total(*probe);
  expect_counter(stats, URING_COUNTER_INVALID, 2);
  expect_each(stats.items[URING_ITEMS_REAPED], 1, 1, "reaped");
}

// More rings than the probe has places for, one after the other: a clean-up makes room.
TEST(Uring, ClosedRingsMakeRoom) {
  static constexpr int kRings = 20;
  Child<Meeting> child([](Meeting& meeting) {
    for (int phase = 1; phase <= 4; ++phase) {
      std::vector<std::unique_ptr<Ring>> rings;
      for (int i = 0; i < kRings; ++i) {
        rings.push_back(std::make_unique<Ring>(8));
        rings.back()->add(IORING_OP_NOP);
        rings.back()->submit_and_wait(1);
        rings.back()->reap(1);
      }
      rings.clear();
      meeting.ready = phase;
      while (meeting.go < phase) sleep_ns(1'000'000);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid());
  auto* meeting = static_cast<Meeting*>(child.shared());
  std::thread work([&] { child.work(); });
  model::UringIntervals intervals(probe->attached_ns());
  model::UringTotal sum;
  for (int phase = 1; phase <= 4; ++phase) {
    for (int i = 0; i < 10'000 && meeting->ready < phase; ++i) sleep_ns(1'000'000);
    sum.add(intervals.advance(probe->read()));
    sum.add(intervals.advance(probe->read()));  // the first found the table crowded
    meeting->go = phase;
  }
  work.join();
  const model::RingUserStats stats = total(sum.total());
  expect_counter(stats, URING_COUNTER_SUBMISSIONS, uint64_t{4} * kRings);
  expect_counter(stats, URING_COUNTER_COMPLETIONS, uint64_t{4} * kRings);
  expect_counter(stats, URING_COUNTER_UNTIMED, 0);
}

TEST(Uring, WaitingForRingsItAttachesWhenThereIsOne) {
  Child<Meeting> child([](Meeting& meeting) {
    Ring ring(64);
    meeting.wait_for_probe();
    for (int round = 0; round < kRounds; ++round) {
      ring.add(IORING_OP_NOP);
      ring.submit_and_wait(1);
      ring.reap(1);
    }
  });
  ATTACH_OR_SKIP(probe, child.pid(), true);
  auto* meeting = static_cast<Meeting*>(child.shared());
  std::thread work([&] { child.work(); });
  for (int i = 0; i < 10'000 && meeting->ready == 0; ++i) sleep_ns(1'000'000);
  probe->read();
  meeting->go = 1;
  work.join();
  const model::RingUserStats stats = total(*probe);
  expect_counter(stats, URING_COUNTER_ENTERS, kRounds);
  EXPECT_EQ(stats.stages[URING_STAGE_COMPLETE_TO_REAP].count(), uint64_t{kRounds});
}

}  // namespace
}  // namespace epulse::test
