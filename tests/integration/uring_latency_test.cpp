// Known delays between submission, completion and reap against the io_uring probe.
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <thread>

#include "agent/kernel/sched_sampler.hpp"
#include "tests/integration/uring_testing.hpp"

namespace epulse::test {
namespace {

using kernel::monotonic_ns;

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

}  // namespace
}  // namespace epulse::test
