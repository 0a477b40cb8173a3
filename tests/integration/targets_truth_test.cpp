// Several processes in one probe, and those that come later.
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "tests/integration/truth.hpp"

namespace epulse::test {
namespace {

std::map<pid_t, uint64_t> deliveries_by_process(probes::EpollProbe& probe) {
  std::map<pid_t, uint64_t> deliveries;
  for (const auto& worker : probe.read().workers) {
    deliveries[static_cast<pid_t>(worker.key.tgid)] += worker.counters[EPOLL_COUNTER_DELIVERIES];
  }
  return deliveries;
}

using Counts = std::map<pid_t, uint64_t>;

TEST(Targets, TwoAtOnceAreCountedApartAndAThirdIsNot) {
  covers({"batch"});
  Child<int> first([](int&) { deliver(1009); });
  Child<int> second([](int&) { deliver(211); });
  Child<int> other([](int&) { deliver(7); });
  ATTACH_OR_SKIP(probe, 0, {.tgids = {first.pid(), second.pid()}});
  ASSERT_TRUE(first.work());
  ASSERT_TRUE(other.work());
  ASSERT_TRUE(second.work());
  EXPECT_EQ(deliveries_by_process(*probe), (Counts{{first.pid(), 1009}, {second.pid(), 211}}));
}

struct Family {
  pid_t child;
  pid_t grandchild;
};

// Forks a child that waits 31 times and forks one that waits 17 times; both stay until the end.
void raise_family(Family& family) {
  int gate[2];
  require(pipe(gate) == 0);
  const pid_t child = fork();  // `family` is memory that all share
  if (child == 0) {
    close(gate[0]);
    deliver(31);
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      deliver(17);
      write_byte(gate[1]);
      pause();
    }
    family.grandchild = grandchild;
    write_byte(gate[1]);
    pause();
  }
  family.child = child;
  close(gate[1]);
  for (int i = 0; i < 2; ++i) read_byte(gate[0]);
  deliver(5);
}

void end_family(const Family& family) {
  kill(family.grandchild, SIGKILL);
  kill(family.child, SIGKILL);
}

TEST(Targets, ChildrenThatComeLaterAreCountedWhenFollowed) {
  Child<Family> child(raise_family);
  ATTACH_OR_SKIP(probe, 0, {.tgids = {child.pid()}, .follow_children = true});
  ASSERT_TRUE(child.work());
  const Family& family = child.result();
  EXPECT_EQ(deliveries_by_process(*probe),
            (Counts{{child.pid(), 5}, {family.child, 31}, {family.grandchild, 17}}));
  std::vector<pid_t> expected{child.pid(), family.child, family.grandchild};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(probe->targets(), expected);
  end_family(family);
}

TEST(Targets, ChildrenAreLeftAloneWhenNotFollowed) {
  Child<Family> child(raise_family);
  ATTACH_OR_SKIP(probe, child.pid());
  ASSERT_TRUE(child.work());
  EXPECT_EQ(deliveries_by_process(*probe), (Counts{{child.pid(), 5}}));
  EXPECT_EQ(probe->targets(), std::vector<pid_t>{child.pid()});
  end_family(child.result());
}

TEST(Targets, ProcessesThatEndMakeRoomForMoreThanTheTableHolds) {
  constexpr int kChildren = 1500;  // the table holds 1,024
  Child<int> child([](int&) {
    for (int i = 0; i < kChildren; ++i) {
      const pid_t pid = fork();
      if (pid == 0) _exit(0);
      require(waitpid(pid, nullptr, 0) == pid);
    }
    const pid_t last = fork();
    if (last == 0) {
      deliver(3);
      _exit(0);
    }
    require(waitpid(last, nullptr, 0) == last);
  });
  ATTACH_OR_SKIP(probe, 0, {.tgids = {child.pid()}, .follow_children = true});
  ASSERT_TRUE(child.work());
  const model::EpollSnapshot snapshot = probe->read();
  EXPECT_EQ(snapshot.losses.targets_dropped, 0U);
  ASSERT_EQ(snapshot.workers.size(), 1U);
  EXPECT_EQ(snapshot.workers[0].counters[EPOLL_COUNTER_DELIVERIES], 3U);
  EXPECT_EQ(probe->targets(), std::vector<pid_t>{child.pid()});
}

TEST(Targets, ThoseWithoutRoomAreCounted) {
  Child<int> child([](int&) { deliver(1); });
  std::vector<pid_t> many{child.pid()};
  for (pid_t pid = 1; pid <= 2000; ++pid) many.push_back(5'000'000 + pid);  // beyond any real pid
  ATTACH_OR_SKIP(probe, 0, {.tgids = many});
  EXPECT_EQ(probe->read().losses.targets_dropped, 2001U - 1024U);
  EXPECT_EQ(probe->targets(), std::vector<pid_t>{child.pid()});  // the rest are not alive
}

TEST(Targets, OneMayBeAddedLater) {
  Child<int> first([](int&) { deliver(1); });
  Child<int> second([](int&) { deliver(13); });
  ATTACH_OR_SKIP(probe, 0, {.tgids = {first.pid()}, .follow_children = true});
  probe->add_targets({first.pid(), second.pid()});
  ASSERT_TRUE(second.work());
  EXPECT_EQ(deliveries_by_process(*probe), (Counts{{second.pid(), 13}}));
}

}  // namespace
}  // namespace epulse::test
