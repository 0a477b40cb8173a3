#include "agent/actuate/actuator.hpp"
#include "agent/actuate/claim.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "agent/actuate/origin.hpp"
#include "agent/actuate/thread_affinity.hpp"
#include "agent/kernel/process.hpp"
#include "common/unique_fd.hpp"
#include "tests/agent/child.hpp"
#include "tests/agent/cpuset_group.hpp"
#include "tests/agent/temp_dir.hpp"

namespace epulse::actuate {
namespace {

using model::CpuSet;

CpuSet mask_of(pid_t tid) {
  cpu_set_t native;
  CPU_ZERO(&native);
  EXPECT_EQ(sched_getaffinity(tid, sizeof native, &native), 0);
  return CpuSet::from_native(native);
}

void set_mask(pid_t tid, const CpuSet& mask) {
  const cpu_set_t native = mask.native();
  ASSERT_EQ(sched_setaffinity(tid, sizeof native, &native), 0);
}

// A child confined to the first CPU, and the change that moves it to the second.
class ActuatorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const CpuSet usable = mask_of(0);
    if (usable.count() < 2) GTEST_SKIP() << "needs two CPUs, has " << usable.to_string();
    first_ = CpuSet::of(usable.first());
    second_ = CpuSet::of(usable.next(usable.first()));
    both_ = first_;
    both_.add(second_.first());
    set_mask(child_.pid(), first_);
    change_ = {child_.pid(), child_.pid(), child_.start_ticks(), "child", first_, second_};
  }

  Child child_;
  TempDir dir_;
  CpuSet first_, second_, both_;
  ThreadAffinity change_;
};

TEST_F(ActuatorTest, AProcessIsClaimedByOneAtATime) {
  std::optional<Claim> first = claim(child_.pid());
  EXPECT_TRUE(first->held);
  const Claim second = claim(child_.pid());
  EXPECT_FALSE(second.held);
  EXPECT_TRUE(second.is_taken);
  EXPECT_TRUE(claim(getpid()).held) << "another process";
  first.reset();
  EXPECT_TRUE(claim(child_.pid()).held);
  const Claim gone = claim(0x3fffffff);
  EXPECT_FALSE(gone.held || gone.is_taken);
}

TEST_F(ActuatorTest, AppliesAndUndoesExactly) {
  Actuator actuator(dir_.path());
  const uint64_t seq = actuator.apply(change_, "a test");
  EXPECT_EQ(mask_of(child_.pid()), second_);
  ASSERT_EQ(actuator.pending().size(), 1U);
  EXPECT_EQ(actuator.pending()[0].reason, "a test");
  const Outcome outcome = actuator.undo(seq);
  EXPECT_EQ(outcome.result, UndoResult::kRestored);
  EXPECT_EQ(outcome.text, fmt::format("thread {} (actuate_test): CPUs {} -> {} restored",
                                      child_.pid(), second_.to_string(), first_.to_string()));
  EXPECT_EQ(mask_of(child_.pid()), first_);
  EXPECT_TRUE(actuator.pending().empty());
  EXPECT_NE(error_of([&] { actuator.undo(seq); }).find("nothing to undo"), std::string::npos);
}

// The journal is written between the two, and that may take a while.
TEST_F(ActuatorTest, WhatSomebodyElseSetWhileTheJournalWasWrittenStays) {
  const ThreadAffinity prepared = prepare(change_);
  set_mask(child_.pid(), both_);
  EXPECT_NE(error_of([&] { perform(prepared); }).find("somebody else"), std::string::npos);
  EXPECT_EQ(mask_of(child_.pid()), both_);
}

TEST_F(ActuatorTest, SaysHowToDoItByHand) {
  change_.tid = 4711;
  change_.name = "ws-worker-1";
  EXPECT_EQ(by_hand(change_), fmt::format("taskset -pc {} 4711", second_.to_string()));
  EXPECT_EQ(undo_by_hand(change_), fmt::format("taskset -pc {} 4711", first_.to_string()));
  EXPECT_EQ(describe(change_), fmt::format("thread 4711 (ws-worker-1): CPUs {} -> {}",
                                           first_.to_string(), second_.to_string()));
}

TEST_F(ActuatorTest, UndoesInReverseOrder) {
  Actuator actuator(dir_.path());
  const uint64_t older = actuator.apply(change_, "one");
  ThreadAffinity back = change_;
  back.old_mask = second_;
  back.new_mask = both_;
  const uint64_t newer = actuator.apply(back, "two");
  EXPECT_NE(error_of([&] { actuator.undo(older); }).find("cannot be undone before change 2"),
            std::string::npos);
  EXPECT_EQ(actuator.undo(newer).result, UndoResult::kRestored);
  // Killed before that was noted, the next one must not take the value for somebody else's.
  EXPECT_NE(read_text(dir_.file("journal")).find(" 2 undoing\n"), std::string::npos);
  EXPECT_EQ(mask_of(child_.pid()), second_);
  const auto outcomes = actuator.undo_all();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].seq, older);
  EXPECT_EQ(outcomes[0].result, UndoResult::kRestored);
  EXPECT_EQ(mask_of(child_.pid()), first_);
  EXPECT_EQ(read_text(dir_.file("journal")), "");
}

TEST_F(ActuatorTest, StandsDownWhenChangedSince) {
  Actuator actuator(dir_.path());
  actuator.apply(change_, "a test");
  set_mask(child_.pid(), both_);
  const auto outcomes = actuator.undo_all();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kStoodDown);
  EXPECT_NE(outcomes[0].text.find(fmt::format("CPUs are {}, not the {} set here: somebody else "
                                              "changed it since",
                                              both_.to_string(), second_.to_string())),
            std::string::npos)
      << outcomes[0].text;
  EXPECT_EQ(mask_of(child_.pid()), both_);
  EXPECT_TRUE(actuator.pending().empty()) << "settled";
}

// Two changes; the administrator goes back to the value between them, which was ours once.
TEST_F(ActuatorTest, AnAdministratorsValueStaysAlsoWhereItWasOursOnce) {
  ThreadAffinity second = change_;
  second.old_mask = second_;
  second.new_mask = both_;
  {
    Actuator actuator(dir_.path());
    actuator.apply(change_, "one");
    actuator.apply(second, "two");
    set_mask(child_.pid(), second_);
  }  // as a kill would
  Actuator next(dir_.path());
  const auto outcomes = next.recover();
  ASSERT_EQ(outcomes.size(), 2U);
  for (const Outcome& outcome : outcomes) {
    EXPECT_EQ(outcome.result, UndoResult::kStoodDown) << outcome.text;
  }
  EXPECT_EQ(mask_of(child_.pid()), second_);
  EXPECT_TRUE(next.pending().empty());
}

// Killed when the later of two was undone, and the earlier not yet.
TEST_F(ActuatorTest, KilledBetweenTwoUndosTheNextGoesOn) {
  ThreadAffinity second = change_;
  second.old_mask = second_;
  second.new_mask = both_;
  set_mask(child_.pid(), second_);
  write_text(dir_.file("journal"), encode(IntentRecord{1, change_, 0, "one"}) +
                                       encode(MarkRecord{1, true}) +
                                       encode(IntentRecord{2, second, 0, "two"}) +
                                       encode(MarkRecord{2, true}) + encode(MarkRecord{2, false}));
  Actuator next(dir_.path());
  next.recover();
  EXPECT_EQ(mask_of(child_.pid()), first_);
}

// Once overruled, the agent has no say any more, whatever it measures.
TEST_F(ActuatorTest, WhatSomebodyElseChangedIsNotChangedAgain) {
  for (const bool set_back : {true, false}) {
    const TempDir dir;
    set_mask(child_.pid(), first_);
    Actuator actuator(dir.path());
    actuator.apply(change_, "one");
    EXPECT_TRUE(actuator.holds(1));
    set_mask(child_.pid(), set_back ? first_ : both_);
    EXPECT_FALSE(actuator.holds(1));
    EXPECT_TRUE(in_force(actuator.pending()).empty());
    ThreadAffinity again = change_;
    again.old_mask = mask_of(child_.pid());
    EXPECT_NE(error_of([&] { actuator.apply(again, "two"); }).find("left alone until epulsed"),
              std::string::npos);
    EXPECT_EQ(mask_of(child_.pid()), again.old_mask);
    EXPECT_TRUE(actuator.pending().empty());
  }
}

// Noticed without a new reason to change it: who reads `epulse status` is not told of a change that
// is none any more.
TEST_F(ActuatorTest, WhatSomebodyElseChangedIsForgotten) {
  Actuator actuator(dir_.path());
  actuator.apply(change_, "one");
  ThreadAffinity wider = change_;
  wider.old_mask = second_;
  wider.new_mask = both_;
  actuator.apply(wider, "two");
  EXPECT_TRUE(actuator.forget_settled({}, 10).empty()) << "both hold";
  set_mask(child_.pid(), first_);
  EXPECT_TRUE(actuator.forget_settled(std::vector<uint64_t>{1, 2}, 10).empty()) << "spared";
  EXPECT_TRUE(actuator.forget_settled({}, 10).empty()) << "a cpuset may be being changed";
  set_mask(child_.pid(), both_);
  EXPECT_TRUE(actuator.forget_settled({}, 10).empty()) << "so it was";
  set_mask(child_.pid(), first_);
  EXPECT_TRUE(actuator.forget_settled({}, 10).empty());
  const auto outcomes = actuator.forget_settled({}, 10);
  ASSERT_EQ(outcomes.size(), 2U);
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.result, UndoResult::kStoodDown);
  EXPECT_EQ(mask_of(child_.pid()), first_);
  EXPECT_TRUE(actuator.pending().empty());
  EXPECT_THROW(actuator.apply(change_, "three"), Overruled);
}

// By the command that `epulse diff` shows.
TEST_F(ActuatorTest, WhatSomebodyElseSetBackIsForgotten) {
  Actuator actuator(dir_.path());
  actuator.apply(change_, "one");
  set_mask(child_.pid(), first_);
  actuator.forget_settled({}, 10);
  ASSERT_EQ(actuator.forget_settled({}, 10).size(), 1U);
  set_mask(child_.pid(), second_);
  EXPECT_TRUE(actuator.undo_all().empty());
  EXPECT_EQ(mask_of(child_.pid()), second_) << "their newest value";
}

TEST_F(ActuatorTest, APreviewTellsWhatAndWhyNot) {
  const auto change_to = [&](const CpuSet& mask, bool made) {
    ThreadAffinity change = change_;
    change.new_mask = mask;
    return IntentRecord{1, change, 0, "", "", made};
  };
  const auto why = [&](const IntentRecord& intent) {
    const Preview one = preview({intent});
    return one.left_alone.empty() ? "" : one.left_alone[0].why;
  };
  EXPECT_EQ(why(change_to(second_, true)), "it was set back since");
  EXPECT_EQ(why(change_to(second_, false)), "it is as it was");
  IntentRecord there = change_to(second_, true);
  there.origin = "another/1";
  EXPECT_EQ(why(there), "it has ended");
  set_mask(child_.pid(), both_);
  EXPECT_EQ(why(change_to(second_, true)), "somebody else has set it since");
  set_mask(child_.pid(), second_);
  EXPECT_EQ(preview({change_to(second_, true)}).undone.size(), 1U);
}

TEST_F(ActuatorTest, AJournalThatCanOnlyBeReadIsStillUndone) {
  {
    Actuator actuator(dir_.path());
    actuator.apply(change_, "a test");
  }
  const UniqueFd journal(open(dir_.file("journal").c_str(), O_RDONLY | O_CLOEXEC));
  int immutable = FS_IMMUTABLE_FL;
  int none = 0;
  if (ioctl(journal.get(), FS_IOC_SETFLAGS, &immutable) != 0) {
    GTEST_SKIP() << "this file system, or user, can make no file immutable";
  }
  Actuator next(dir_.path());
  EXPECT_NE(error_of([&] { next.require_writable(); }).find("can only be read"), std::string::npos);
  const auto outcomes = next.undo_all();
  ioctl(journal.get(), FS_IOC_SETFLAGS, &none);
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kRestored) << outcomes[0].text;
  EXPECT_NE(outcomes[0].text.find("not noted"), std::string::npos);
  EXPECT_EQ(mask_of(child_.pid()), first_);
}

TEST_F(ActuatorTest, RefusesAMaskThatIsNotTheOneMeasured) {
  Actuator actuator(dir_.path());
  set_mask(child_.pid(), both_);
  EXPECT_NE(error_of([&] { actuator.apply(change_, "a test"); }).find("somebody else changed it"),
            std::string::npos);
  EXPECT_EQ(mask_of(child_.pid()), both_);
  EXPECT_TRUE(actuator.pending().empty());
}

TEST_F(ActuatorTest, RefusesWhatIsNoThreadAndMask) {
  Actuator actuator(dir_.path());
  for (const pid_t tid : {0, -1}) {
    ThreadAffinity own = change_;
    own.tid = tid;
    EXPECT_NE(error_of([&] { actuator.apply(own, "a test"); }), "") << tid;
  }
  ThreadAffinity empty = change_;
  empty.new_mask = CpuSet{};
  EXPECT_NE(error_of([&] { actuator.apply(empty, "a test"); }), "");
  EXPECT_TRUE(actuator.pending().empty());
}

TEST_F(ActuatorTest, AMaskThatTheKernelRefusesLeavesTheOldOne) {
  Actuator actuator(dir_.path());
  change_.new_mask = CpuSet::of(CpuSet::kCapacity - 1);  // beyond any CPU of this machine
  EXPECT_NE(error_of([&] { actuator.apply(change_, "a test"); }).find("none of these CPUs"),
            std::string::npos);
  EXPECT_EQ(mask_of(child_.pid()), first_);
  EXPECT_TRUE(actuator.pending().empty()) << "noted as not made";
}

TEST_F(ActuatorTest, AMaskThatTheKernelCutsDownLeavesTheOldOne) {
  Actuator actuator(dir_.path());
  change_.new_mask = second_;
  change_.new_mask.add(CpuSet::kCapacity - 1);
  EXPECT_NE(error_of([&] { actuator.apply(change_, "a test"); }).find("instead of"),
            std::string::npos);
  EXPECT_EQ(mask_of(child_.pid()), first_);
  EXPECT_TRUE(actuator.pending().empty());
}

TEST_F(ActuatorTest, AThreadThatEndedIsNothingToUndo) {
  Actuator actuator(dir_.path());
  actuator.apply(change_, "a test");
  child_.kill();
  const auto outcomes = actuator.undo_all();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kGone);
  EXPECT_TRUE(actuator.pending().empty());
  EXPECT_NE(error_of([&] { actuator.apply(change_, "again"); }).find("has ended"),
            std::string::npos);
}

// Killed, but not yet reaped by its parent: its mask can still be set, to no end.
TEST_F(ActuatorTest, AZombieIsNothingToUndo) {
  Actuator actuator(dir_.path());
  actuator.apply(change_, "a test");
  ::kill(child_.pid(), SIGKILL);
  ASSERT_TRUE(eventually([&] { return !read_thread_stat(child_.pid(), child_.pid()); }));
  const auto outcomes = actuator.undo_all();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kGone);
}

// The id lives on in another thread: told apart by the start time, in apply and in undo.
TEST_F(ActuatorTest, AReusedIdIsLeftAlone) {
  ThreadAffinity other = change_;
  other.start_ticks -= 1;
  Actuator actuator(dir_.path());
  EXPECT_NE(error_of([&] { actuator.apply(other, "a test"); }).find("has ended"),
            std::string::npos);

  const TempDir dir;
  set_mask(child_.pid(), second_);
  write_text(dir.file("journal"), encode(IntentRecord{1, other, 0, "of a dead daemon"}));
  Actuator next(dir.path());
  const auto outcomes = next.recover();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kGone);
  EXPECT_EQ(mask_of(child_.pid()), second_);
}

TEST_F(ActuatorTest, KilledRightAfterTheChangeIsUndoneByTheNext) {
  Child agent([&] {
    auto* const actuator = new Actuator(dir_.path());  // alive until the kill
    actuator->apply(change_, "before the kill");
  });
  EXPECT_EQ(mask_of(child_.pid()), second_);
  EXPECT_NE(error_of([&] {
              Actuator second(dir_.path());
            }).find(fmt::format("epulsed (pid {}) is running", agent.pid())),
            std::string::npos);
  agent.kill();

  Actuator next(dir_.path());
  ASSERT_EQ(next.pending().size(), 1U);
  const auto outcomes = next.recover();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kRestored);
  EXPECT_EQ(mask_of(child_.pid()), first_);
}

// A process that makes the change and undoes it without end, killed after `delay`.
void kill_amid_changes(const std::string& state_dir, const ThreadAffinity& change,
                       std::chrono::microseconds delay) {
  int ready[2] = {-1, -1};
  ASSERT_EQ(pipe(ready), 0);
  const pid_t worker = fork();
  ASSERT_GE(worker, 0);
  if (worker == 0) {
    Actuator actuator(state_dir);
    if (write(ready[1], "", 1) != 1) _exit(1);
    for (;;) actuator.undo(actuator.apply(change, "again and again"));
  }
  close(ready[1]);
  char done = 0;
  EXPECT_EQ(read(ready[0], &done, 1), 1);
  close(ready[0]);
  std::this_thread::sleep_for(delay);  // not a wait for anything: it is the instant of death
  ::kill(worker, SIGKILL);
  ASSERT_EQ(waitpid(worker, nullptr, 0), worker);
}

// Killed at any instant, not only between the calls: the old mask always comes back.
TEST_F(ActuatorTest, KilledAtAnyInstantIsUndoneByTheNext) {
  for (int round = 0; round < 40; ++round) {
    const TempDir dir;
    kill_amid_changes(dir.path(), change_, std::chrono::microseconds(137 * round));
    Actuator next(dir.path());
    for (const Outcome& outcome : next.recover()) {
      EXPECT_EQ(outcome.result, UndoResult::kRestored) << outcome.text;
    }
    ASSERT_EQ(mask_of(child_.pid()), first_) << round;
    ASSERT_TRUE(next.complaints().empty());
  }
}

// Ids and start times repeat from boot to boot: a state directory on a disk outlives them.
TEST_F(ActuatorTest, AChangeOfAnotherBootIsGone) {
  set_mask(child_.pid(), second_);
  IntentRecord intent{1, change_, 0, "before the boot", "0123-4567/4026531836"};
  write_text(dir_.file("journal"), encode(intent) + encode(MarkRecord{1, true}));
  EXPECT_TRUE(in_force({intent}).empty());
  Actuator next(dir_.path());
  const auto outcomes = next.recover();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kGone) << outcomes[0].text;
  EXPECT_NE(outcomes[0].text.find("booted since"), std::string::npos) << outcomes[0].text;
  EXPECT_EQ(mask_of(child_.pid()), second_);
  EXPECT_TRUE(next.pending().empty());
}

// A namespace that nobody is in any more has taken its threads with it.
TEST_F(ActuatorTest, AChangeOfAPidNamespaceThatEndedIsGone) {
  if (!kernel::in_host_pid_namespace()) GTEST_SKIP() << "sees this pid namespace alone";
  set_mask(child_.pid(), second_);
  write_text(dir_.file("journal"),
             encode(IntentRecord{1, change_, 0, "in a container", origin() + "0"}));
  Actuator next(dir_.path());
  const auto outcomes = next.recover();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kGone) << outcomes[0].text;
  EXPECT_EQ(mask_of(child_.pid()), second_);
}

TEST_F(ActuatorTest, AChangeOfAnotherPidNamespaceIsLeftForWhoLivesThere) {
  const int pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {  // the next child of this one lives in a namespace of its own
    if (unshare(CLONE_NEWPID) != 0) _exit(77);
    const pid_t inside = fork();
    if (inside == 0) {
      pause();
      _exit(0);
    }
    write_text(dir_.file("inside"), std::to_string(inside));
    std::filesystem::rename(dir_.file("inside"), dir_.file("pid"));
    pause();
    _exit(0);
  }
  const auto is_there = [&] { return std::filesystem::exists(dir_.file("pid")); };
  bool ended = false;
  ASSERT_TRUE(eventually([&] {
    ended = ended || waitpid(pid, nullptr, WNOHANG) == pid;
    return ended || is_there();
  }));
  if (!is_there()) GTEST_SKIP() << "needs root, for a pid namespace";
  const pid_t inside = std::stoi(read_text(dir_.file("pid")));
  struct stat space {};
  ASSERT_EQ(stat(fmt::format("/proc/{}/ns/pid", inside).c_str(), &space), 0);
  const std::string& here = origin();
  const std::string other = here.substr(0, here.find('/') + 1) + std::to_string(space.st_ino);

  set_mask(child_.pid(), second_);
  write_text(dir_.file("journal"), encode(IntentRecord{1, change_, 0, "in a container", other}));
  Actuator next(dir_.path());
  const auto outcomes = next.recover();
  kill(inside, SIGKILL);
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kFailed) << outcomes[0].text;
  EXPECT_EQ(mask_of(child_.pid()), second_);
  EXPECT_TRUE(next.is_pending(1));
}

TEST_F(ActuatorTest, AChangeSaysWhereItWasMade) {
  Actuator actuator(dir_.path());
  actuator.apply(change_, "a test");
  EXPECT_EQ(actuator.pending().at(0).origin, origin());
}

// Announced, then killed before the system call: nothing to do, and that is said.
TEST_F(ActuatorTest, AnAnnouncedChangeThatWasNeverMadeIsInPlace) {
  write_text(dir_.file("journal"), encode(IntentRecord{1, change_, 0, "of a dead daemon"}));
  Actuator next(dir_.path());
  const auto outcomes = next.recover();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kRestored);
  EXPECT_NE(outcomes[0].text.find("in place already"), std::string::npos);
}

// Write-ahead: when the record cannot be written, the change is not made.
TEST_F(ActuatorTest, NoChangeWithoutAJournal) {
  const pid_t worker = fork();
  ASSERT_GE(worker, 0);
  if (worker == 0) {
    signal(SIGXFSZ, SIG_IGN);
    Actuator actuator(dir_.path());
    const rlimit limit{20, 20};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(10);
    const std::string error = error_of([&] { actuator.apply(change_, "a test"); });
    _exit(error.find("nothing is changed without a journal") == std::string::npos ? 11 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(worker, &status, 0), worker);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(mask_of(child_.pid()), first_);
}

// ... but on a full disk what was changed is still undone.
TEST_F(ActuatorTest, AFullDiskDoesNotPreventAnUndo) {
  const pid_t worker = fork();
  ASSERT_GE(worker, 0);
  if (worker == 0) {
    signal(SIGXFSZ, SIG_IGN);
    Actuator actuator(dir_.path());
    actuator.apply(change_, "a test");
    const rlimit limit{20, 20};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(10);
    const auto outcomes = actuator.undo_all();
    if (outcomes.size() != 1 || outcomes[0].result != UndoResult::kRestored) _exit(11);
    _exit(outcomes[0].text.find("not noted") == std::string::npos ? 12 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(worker, &status, 0), worker);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(mask_of(child_.pid()), first_);
  Actuator next(dir_.path());
  EXPECT_EQ(next.recover().size(), 1U);
  EXPECT_EQ(mask_of(child_.pid()), first_);
}

// The target may end at any moment, also between the check and the change: then there was nothing
// to change, or there is nothing to undo.
TEST_F(ActuatorTest, ATargetThatEndsInMidChangeIsNoFailure) {
  Actuator actuator(dir_.path());
  for (int round = 0; round < 30; ++round) {
    const Child target([&] { set_mask(0, first_); });
    const ThreadAffinity change{target.pid(), target.pid(), target.start_ticks(),
                                "child",      first_,       second_};
    std::thread killer([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(10 * round));  // the instant of its end
      ::kill(target.pid(), SIGKILL);
    });
    const std::string error = error_of([&] { actuator.apply(change, "a race"); });
    killer.join();
    EXPECT_TRUE(error.empty() || error.find("has ended") != std::string::npos) << error;
    ASSERT_TRUE(eventually([&] { return !read_thread_stat(target.pid(), target.pid()); }));
    for (const Outcome& outcome : actuator.undo_all()) {
      EXPECT_EQ(outcome.result, UndoResult::kGone) << outcome.text;
    }
    ASSERT_TRUE(actuator.pending().empty());
  }
}

class CpusetTest : public ActuatorTest {
 protected:
  void SetUp() override {
    ActuatorTest::SetUp();
    if (IsSkipped()) return;
    if (!cpuset_ || !cpuset_.set("cpuset.cpus", both_.to_string()) ||
        !cpuset_.set("cgroup.procs", std::to_string(child_.pid()))) {
      GTEST_SKIP() << "cannot make a cpuset; run as root, with the cpuset controller";
    }
    set_mask(child_.pid(), first_);
  }
  void TearDown() override { child_.kill(); }

  CpusetGroup cpuset_;
};

// The kernel itself takes the thread off the CPU that it was moved to.
TEST_F(CpusetTest, ThatLosesTheNewCpuIsLeftAsItIs) {
  const Child witness;
  ASSERT_TRUE(cpuset_.set("cgroup.procs", std::to_string(witness.pid())));
  set_mask(witness.pid(), second_);
  Actuator actuator(dir_.path());
  actuator.apply(change_, "a test");
  ASSERT_TRUE(cpuset_.set("cpuset.cpus", first_.to_string()));
  ASSERT_TRUE(eventually([&] { return mask_of(child_.pid()) == first_; }));
  const auto outcomes = actuator.undo_all();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kRestored) << outcomes[0].text;
  EXPECT_EQ(mask_of(child_.pid()), first_);
  EXPECT_TRUE(actuator.pending().empty());
  // With the CPU the kernel would give back what was set last: that must not be ours.
  ASSERT_TRUE(cpuset_.set("cpuset.cpus", both_.to_string()));
  EXPECT_TRUE(eventually([&] { return mask_of(witness.pid()) != first_; }));
  EXPECT_TRUE(first_.contains(mask_of(child_.pid()).first())) << mask_of(child_.pid()).to_string();
}

// Nor is what is left of the mask then the doing of somebody else.
TEST_F(CpusetTest, WhatIsCutDownToAWiderMaskIsStillOurs) {
  const CpuSet usable = mask_of(getpid());
  const int third = usable.next(second_.first());
  if (third < 0) GTEST_SKIP() << "needs three CPUs, has " << usable.to_string();
  CpuSet rest = first_;
  rest.add(third);
  CpuSet all = both_;
  all.add(third);
  ASSERT_TRUE(cpuset_.set("cpuset.cpus", all.to_string()));
  Actuator actuator(dir_.path());
  actuator.apply(change_, "a test");
  ASSERT_TRUE(cpuset_.set("cpuset.cpus", rest.to_string()));
  ASSERT_TRUE(eventually([&] { return mask_of(child_.pid()) == rest; }));
  EXPECT_EQ(actuator.undo_all()[0].result, UndoResult::kRestored);
  EXPECT_EQ(mask_of(child_.pid()), first_);
}

TEST_F(CpusetTest, WhatItAllowsOfTheOldMaskIsRestored) {
  set_mask(child_.pid(), both_);
  change_.old_mask = both_;
  change_.new_mask = second_;
  Actuator actuator(dir_.path());
  actuator.apply(change_, "a test");
  ASSERT_TRUE(cpuset_.set("cpuset.cpus", first_.to_string()));
  const auto outcomes = actuator.undo_all();
  EXPECT_EQ(outcomes[0].result, UndoResult::kRestored) << outcomes[0].text;
  EXPECT_NE(outcomes[0].text.find("its cpuset allows only"), std::string::npos);
  EXPECT_EQ(mask_of(child_.pid()), first_);
}

// What cannot be put back now stays in the journal, and is once it can be.
TEST_F(CpusetTest, ThatLosesTheOldCpuIsUndoneWhenItIsBack) {
  Actuator actuator(dir_.path());
  actuator.apply(change_, "a test");
  ASSERT_TRUE(cpuset_.set("cpuset.cpus", second_.to_string()));
  auto outcomes = actuator.undo_all();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kFailed) << outcomes[0].text;
  EXPECT_NE(outcomes[0].text.find("cpuset"), std::string::npos) << outcomes[0].text;
  EXPECT_EQ(actuator.pending().size(), 1U);
  ASSERT_TRUE(cpuset_.set("cpuset.cpus", both_.to_string()));
  outcomes = actuator.undo_all();
  EXPECT_EQ(outcomes[0].result, UndoResult::kRestored) << outcomes[0].text;
  EXPECT_EQ(mask_of(child_.pid()), first_);
}

}  // namespace
}  // namespace epulse::actuate
