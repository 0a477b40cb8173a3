// Rings that the io_uring probe has not seen from their beginning, or must not believe.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "agent/error.hpp"
#include "tests/integration/uring_testing.hpp"

namespace epulse::test {
namespace {

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
  if (!probe) GTEST_SKIP() << "no io_uring probe: " << refusal;
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
  if (!probe) GTEST_SKIP() << "no io_uring probe: " << refusal;
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
