// Known use of rings against the io_uring probe: what a program does exactly comes out exactly.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "agent/probes/uring_variants.hpp"
#include "tests/integration/uring_testing.hpp"

namespace epulse::test {
namespace {

struct CountCase {
  unsigned requests;
  Mode mode;
  bool reads;
};

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

}  // namespace
}  // namespace epulse::test
