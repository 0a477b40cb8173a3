#include <gtest/gtest.h>

#include <optional>
#include <random>

#include "agent/tuners/affinity.hpp"

namespace epulse::tuners {
namespace {

using model::CpuSet;
using model::SchedInterval;
using model::ThreadSched;
using Kind = AffinityVerdict::Kind;

constexpr uint64_t kSecond = 1'000'000'000;

CpuSet cpus(const char* list) {
  return CpuSet::parse(list).value();
}

// A machine on which foreign programs use a share of each CPU and the target's workers wait for it.
class Machine {
 public:
  explicit Machine(std::vector<double> foreign_shares) : foreign_(std::move(foreign_shares)) {}

  ThreadSched& add_worker(pid_t tid, const CpuSet& mask) {
    ThreadSched thread;
    thread.tid = tid;
    thread.start_ticks = 1000 + static_cast<uint64_t>(tid);
    thread.name = "ws-worker-" + std::to_string(tid);
    thread.allowed = mask;
    thread.run_share = 0.2;
    thread.timeslices_per_second = 1000;
    thread.is_worker = true;
    threads_.push_back(thread);
    return threads_.back();
  }

  // The delay that a thread meets is that of the least foreign CPU of its mask.
  SchedInterval interval(bool with_bpf = true) {
    SchedInterval interval;
    interval.seconds = 1;
    for (size_t i = 0; i < foreign_.size(); ++i) {
      interval.cpus.push_back({static_cast<int>(i), foreign_[i], 0});
    }
    for (ThreadSched& thread : threads_) {
      size_t best = 0;
      double least = 2;
      for (int cpu = thread.allowed.first(); cpu >= 0; cpu = thread.allowed.next(cpu)) {
        const auto index = static_cast<size_t>(cpu);
        if (index < foreign_.size() && foreign_[index] < least) least = foreign_[best = index];
      }
      thread.cpu = static_cast<int>(best);
      interval.cpus[best].busy_share += thread.run_share;
      interval.cpus[best].target_share += thread.run_share;
      const double delay_ns = follows_cpu ? least * least * 8e6 : 6e6;
      thread.delay_ns_mean = static_cast<uint64_t>(delay_ns / 2);
      thread.delay_share = least / 2;
      thread.wakeup_ns_p99.reset();
      if (with_bpf) thread.wakeup_ns_p99 = static_cast<uint64_t>(delay_ns);
      interval.threads.push_back(thread);
    }
    return interval;
  }

  void move(const AffinityProposal& proposal) {
    for (ThreadSched& thread : threads_) {
      if (thread.tid == proposal.tid) thread.allowed = proposal.to;
    }
  }
  void set_mask(pid_t tid, const CpuSet& mask) {
    for (ThreadSched& thread : threads_) {
      if (thread.tid == tid) thread.allowed = mask;
    }
  }
  std::vector<ThreadSched>& threads() { return threads_; }
  std::vector<double>& foreign() { return foreign_; }

  bool follows_cpu = true;  // false: the delay stays, wherever the thread runs

 private:
  std::vector<double> foreign_;
  std::vector<ThreadSched> threads_;
};

struct Tally {
  std::vector<AffinityProposal> proposals;
  std::vector<AffinityVerdict> verdicts;
};

// `seconds` intervals of one second, every proposal and revert carried out as the daemon would.
Tally run(Machine& machine, AffinityTuner& tuner, const CpuSet& usable, uint64_t first_s,
          uint64_t seconds, bool apply = true, bool with_bpf = true) {
  Tally tally;
  for (uint64_t s = first_s; s < first_s + seconds; ++s) {
    const auto decision = tuner.step(machine.interval(with_bpf), usable, s * kSecond);
    if (const auto* const proposal = std::get_if<AffinityProposal>(&decision)) {
      tally.proposals.push_back(*proposal);
      if (apply) {
        machine.move(*proposal);
        tuner.applied(s * kSecond + 1000);
      }
    } else if (const auto* const verdict = std::get_if<AffinityVerdict>(&decision)) {
      tally.verdicts.push_back(*verdict);
      if (verdict->kind == Kind::kRevert) {
        machine.set_mask(verdict->tid, tally.proposals.back().from);
      }
    }
  }
  return tally;
}

TEST(AffinityTuner, MovesAConfinedWorkerOnceAndKeepsIt) {
  for (const bool with_bpf : {true, false}) {
    Machine machine({0.8, 0.1, 0.3});
    machine.add_worker(1, cpus("0"));
    AffinityTuner tuner(AffinityLimits{});
    const Tally tally = run(machine, tuner, cpus("0-2"), 100, 600, true, with_bpf);
    ASSERT_EQ(tally.proposals.size(), 1U);
    const AffinityProposal& proposal = tally.proposals[0];
    EXPECT_EQ(proposal.tid, 1);
    EXPECT_EQ(proposal.start_ticks, 1001U);
    EXPECT_EQ(proposal.from, cpus("0"));
    EXPECT_EQ(proposal.to, cpus("1"));
    EXPECT_EQ(proposal.scenario, "affinity.busy-cpu");
    EXPECT_EQ(proposal.target, "thread 1 (ws-worker-1)");
    EXPECT_EQ(proposal.by_hand, "taskset -pc 1 1");
    EXPECT_EQ(proposal.bounds, "one CPU of 0-2; one move at a time, at most one in 5 s");
    ASSERT_FALSE(proposal.figures.empty());
    EXPECT_EQ(proposal.figures[0].name, with_bpf ? "wakeup_us_p99" : "delay_us_mean");
    EXPECT_NE(proposal.evidence.find("other programs keep 80 % busy; CPU 1 is 10 % busy"),
              std::string::npos)
        << proposal.evidence;
    ASSERT_EQ(tally.verdicts.size(), 1U);
    EXPECT_EQ(tally.verdicts[0].kind, Kind::kKeep) << tally.verdicts[0].evidence;
  }
}

// Two workers of a server on one CPU are as much in each other's way as others are.
TEST(AffinityTuner, WorkersPackedOnOneCpuAreSpread) {
  Machine machine({0.0, 0.1});
  machine.add_worker(1, cpus("0")).run_share = 0.45;
  machine.add_worker(2, cpus("0")).run_share = 0.45;
  AffinityTuner tuner(AffinityLimits{});
  std::optional<AffinityProposal> found;
  for (uint64_t s = 100; s < 110 && !found; ++s) {
    SchedInterval interval = machine.interval();
    for (ThreadSched& thread : interval.threads) thread.wakeup_ns_p99 = 4'000'000;
    const auto decision = tuner.step(interval, cpus("0-1"), s * kSecond);
    if (const auto* const proposal = std::get_if<AffinityProposal>(&decision)) found = *proposal;
  }
  ASSERT_TRUE(found);
  EXPECT_EQ(found->scenario, "affinity.packed-workers");
  EXPECT_EQ(found->to, cpus("1"));
  EXPECT_NE(found->evidence.find("other programs keep 0 % busy, and other threads of its process "
                                 "45 %: ws-worker-2[2]; CPU 1 is 10 % busy"),
            std::string::npos)
      << found->evidence;
}

// A quota holds a thread up wherever it runs.
TEST(AffinityTuner, AThrottledProcessIsNotMoved) {
  for (const double throttled : {0.0, 0.3}) {
    Machine machine({0.8, 0.1});
    machine.add_worker(1, cpus("0"));
    AffinityTuner tuner(AffinityLimits{});
    size_t proposals = 0;
    for (uint64_t s = 100; s < 110; ++s) {
      SchedInterval interval = machine.interval();
      interval.throttled_share = throttled;
      proposals += tuner.step(interval, cpus("0-1"), s * kSecond).index() == 1 ? 1U : 0U;
    }
    EXPECT_EQ(proposals > 0, throttled == 0);
  }
}

// Few wake-ups prove nothing at once: it goes on watching, and undoes what is never proven.
TEST(AffinityTuner, AnImprovementMustBeMoreThanChance) {
  struct Case {
    uint64_t wakeups;  // per interval
    Kind kind;
    uint64_t seconds;  // until the verdict
  };
  for (const Case& c :
       {Case{1000, Kind::kKeep, 3}, Case{20, Kind::kKeep, 5}, Case{5, Kind::kRevert, 12}}) {
    Machine machine({0.8, 0.1});
    machine.add_worker(1, cpus("0"));
    AffinityTuner tuner(AffinityLimits{});
    std::optional<AffinityVerdict> verdict;
    uint64_t changed_s = 0;
    uint64_t s = 100;
    for (; s < 200 && !verdict; ++s) {
      SchedInterval interval = machine.interval();
      interval.threads[0].wakeup_ns.emplace(model::kNsShape);
      // Half of them wait long before the change; the first interval has enough to compare with.
      const bool late = interval.threads[0].allowed == cpus("0");
      interval.threads[0].wakeup_ns->record(late ? 6'000'000 : 20'000, late ? 1000 : c.wakeups);
      const auto decision = tuner.step(interval, cpus("0-1"), s * kSecond);
      if (const auto* const proposal = std::get_if<AffinityProposal>(&decision)) {
        machine.move(*proposal);
        tuner.applied(s * kSecond);
        changed_s = s;
      } else if (const auto* const given = std::get_if<AffinityVerdict>(&decision)) {
        verdict = *given;
      }
    }
    ASSERT_TRUE(verdict) << c.wakeups;
    EXPECT_EQ(verdict->kind, c.kind) << verdict->evidence;
    EXPECT_EQ(s - 1 - changed_s, c.seconds) << verdict->evidence;
  }
}

// No traffic since the move: its delay is 0, which proves nothing.
TEST(AffinityTuner, AThreadThatStoppedRunningProvesNothing) {
  for (const bool with_bpf : {true, false}) {
    for (const double timeslices : {0.0, 5.0}) {
      Machine machine({0.8, 0.1});
      machine.add_worker(1, cpus("0"));
      AffinityTuner tuner(AffinityLimits{});
      std::optional<AffinityVerdict> verdict;
      uint64_t changed_s = 0;
      uint64_t s = 100;
      for (; s < 200 && !verdict; ++s) {
        SchedInterval interval = machine.interval(with_bpf);
        ThreadSched& thread = interval.threads[0];
        if (changed_s != 0) {
          thread.delay_ns_mean = 0;
          thread.wakeup_ns_p99.reset();
          thread.timeslices_per_second = timeslices;
        } else if (with_bpf) {
          thread.wakeup_ns.emplace(model::kNsShape);
          thread.wakeup_ns->record(6'000'000, 1000);
        }
        const auto decision = tuner.step(interval, cpus("0-1"), s * kSecond);
        if (const auto* const proposal = std::get_if<AffinityProposal>(&decision)) {
          machine.move(*proposal);
          tuner.applied(s * kSecond);
          changed_s = s;
        } else if (const auto* const given = std::get_if<AffinityVerdict>(&decision)) {
          verdict = *given;
        }
      }
      ASSERT_TRUE(verdict);
      EXPECT_EQ(verdict->kind, Kind::kRevert) << verdict->evidence;
      EXPECT_EQ(s - 1 - changed_s, 12U) << "four times its time";
      const char* const said = timeslices == 0 ? "there is no traffic" : "there is little traffic";
      EXPECT_NE(verdict->evidence.find(said), std::string::npos) << verdict->evidence;
    }
  }
}

TEST(AffinityTuner, ActsInTheSecondContendedInterval) {
  Machine machine({0.8, 0.1});
  machine.add_worker(1, cpus("0"));
  AffinityTuner tuner(AffinityLimits{});
  EXPECT_TRUE(run(machine, tuner, cpus("0-1"), 100, 1).proposals.empty());
  machine.foreign()[0] = 0.1;
  EXPECT_TRUE(run(machine, tuner, cpus("0-1"), 101, 1).proposals.empty());
  machine.foreign()[0] = 0.8;
  EXPECT_TRUE(run(machine, tuner, cpus("0-1"), 102, 1).proposals.empty());
  EXPECT_EQ(run(machine, tuner, cpus("0-1"), 103, 1).proposals.size(), 1U);
}

// To keep to its overhead budget the agent measures wake-ups in some intervals only.
TEST(AffinityTuner, IntervalsThatOnlyCountAreNoEvidenceEitherWay) {
  Machine machine({0.8, 0.1});
  machine.add_worker(1, cpus("0"));
  AffinityTuner tuner(AffinityLimits{});
  std::vector<uint64_t> acted;
  for (uint64_t s = 100; s < 140; ++s) {
    const bool measured = s % 4 == 0;
    SchedInterval interval = machine.interval(measured);
    interval.wakeups_measured = measured;
    if (!measured) {
      for (ThreadSched& thread : interval.threads) thread.delay_ns_mean = 75'000;
    }
    const auto decision = tuner.step(interval, cpus("0-1"), s * kSecond);
    if (const auto* const proposal = std::get_if<AffinityProposal>(&decision)) {
      machine.move(*proposal);
      tuner.applied(s * kSecond + 1000);
    }
    if (decision.index() != 0) acted.push_back(s);
  }
  // Moved in the second one measured, judged by the first measured whole after that.
  EXPECT_EQ(acted, (std::vector<uint64_t>{104, 108}));
}

// The gain adds up in intervals that only count, too; but what is said is of one that measured: a
// figure below its limit convinces nobody.
TEST(AffinityTuner, EvidenceIsOfAnIntervalThatBearsItOut) {
  Machine machine({0.75, 0.25});
  machine.add_worker(1, cpus("0"));
  AffinityTuner tuner(AffinityLimits{});
  std::vector<uint64_t> proposed;
  for (uint64_t s = 100; s < 106; ++s) {
    const bool measured = s <= 101 || s == 105;
    SchedInterval interval = machine.interval(measured);
    interval.wakeups_measured = measured;
    if (!measured) interval.threads[0].delay_ns_mean = 75'000;
    const auto decision = tuner.step(interval, cpus("0-1"), s * kSecond);
    if (const auto* const proposal = std::get_if<AffinityProposal>(&decision)) {
      proposed.push_back(s);
      EXPECT_NE(proposal->evidence.find("4500 us from woken to running at p99 (limit 1000 us)"),
                std::string::npos)
          << proposal->evidence;
    }
  }
  EXPECT_EQ(proposed, std::vector<uint64_t>{105});
}

// ... but where the mean alone is beyond its limit it need not wait for the next that measures.
TEST(AffinityTuner, WhereWakeUpsAreOnlyCountedTheMeanMayBearWitness) {
  Machine machine({0.8, 0.1});
  machine.add_worker(1, cpus("0"));
  AffinityTuner tuner(AffinityLimits{});
  std::vector<uint64_t> acted;
  for (uint64_t s = 100; s < 140; ++s) {
    SchedInterval interval = machine.interval(false);
    interval.wakeups_measured = false;
    const auto decision = tuner.step(interval, cpus("0-1"), s * kSecond);
    if (const auto* const proposal = std::get_if<AffinityProposal>(&decision)) {
      machine.move(*proposal);
      tuner.applied(s * kSecond + 1000);
    }
    if (decision.index() != 0) acted.push_back(s);
  }
  EXPECT_EQ(acted, (std::vector<uint64_t>{101, 105}));
}

TEST(AffinityTuner, LeavesAloneWhatItCannotHelp) {
  const auto proposals = [](auto&& arrange, const char* usable = "0-1") {
    Machine machine({0.8, 0.1});
    machine.add_worker(1, cpus("0"));
    arrange(machine);
    AffinityTuner tuner(AffinityLimits{});
    return run(machine, tuner, cpus(usable), 100, 60).proposals.size();
  };
  EXPECT_EQ(proposals([](Machine&) {}), 1U) << "the control";
  EXPECT_EQ(proposals([](Machine& m) { m.set_mask(1, cpus("0-1")); }), 0U) << "not confined";
  EXPECT_EQ(proposals([](Machine&) {}, "0"), 0U) << "no other CPU in the cpuset";
  EXPECT_EQ(proposals([](Machine& m) { m.threads()[0].is_worker = false; }), 0U);
  EXPECT_EQ(proposals([](Machine& m) { m.foreign()[1] = 0.7; }), 0U) << "hardly quieter";
  EXPECT_EQ(proposals([](Machine& m) { m.threads()[0].run_share = 0.85; }), 0U) << "no room";
  EXPECT_EQ(proposals([](Machine& m) {
              m.foreign() = {0.25, 0};
              m.follows_cpu = false;
            }),
            0U)
      << "the delay is the target's own doing";
  EXPECT_EQ(proposals([](Machine& m) { m.set_mask(1, CpuSet{}); }), 0U);
  EXPECT_EQ(proposals([](Machine&) {}, "1"), 0U) << "its mask is not within the cpuset";
}

// Where no CPU has room, the queue decides; where nobody counted it, nothing does.
TEST(AffinityTuner, OfBusyCpusTheShortestQueueIsTaken) {
  using Queues = std::vector<std::optional<int>>;
  const auto destination = [](const Queues& queues, int real_time = -1) -> std::string {
    Machine machine({0.99, 0.97, 0.98});
    machine.add_worker(1, cpus("0"));
    AffinityTuner tuner(AffinityLimits{});
    for (uint64_t s = 100; s < 102; ++s) {
      SchedInterval interval = machine.interval();
      for (size_t i = 0; i < queues.size(); ++i) {
        interval.cpus[i].foreign_runnable = queues[i];
        interval.cpus[i].foreign_real_time = static_cast<int>(i) == real_time;
      }
      const auto decision = tuner.step(interval, cpus("0-2"), s * kSecond);
      if (const auto* const proposal = std::get_if<AffinityProposal>(&decision)) {
        EXPECT_NE(proposal->expected.find("a shorter queue"), std::string::npos);
        return proposal->to.to_string();
      }
    }
    return "stays";
  };
  EXPECT_EQ(destination({8, 3, 2}), "2") << "though CPU 1 is a little less busy";
  EXPECT_EQ(destination({8, 4, 5}), "1");
  EXPECT_EQ(destination({7, 4, 4}), "stays") << "not half as long";
  EXPECT_EQ(destination({1, 0, 0}), "stays") << "one look at one thread is no queue";
  EXPECT_EQ(destination({8, 3, 2}, 2), "1") << "behind a real-time thread one may wait for ever";
  EXPECT_EQ(destination({1, 4, 5}, 0), "1") << "away from one";
  EXPECT_EQ(destination({8, {}, {}}), "stays");
  EXPECT_EQ(destination({{}, 1, 1}), "stays");
}

TEST(AffinityTuner, WithoutBpfTheMeanIsHeldAgainstAFifth) {
  for (const uint64_t mean_us : {190U, 210U}) {
    Machine machine({0.8, 0.1});
    machine.add_worker(1, cpus("0"));
    AffinityTuner tuner(AffinityLimits{});
    std::string evidence;
    for (uint64_t s = 100; s < 102; ++s) {
      SchedInterval interval = machine.interval(false);
      interval.threads[0].delay_ns_mean = mean_us * 1000;
      const auto decision = tuner.step(interval, cpus("0-1"), s * kSecond);
      if (const auto* const p = std::get_if<AffinityProposal>(&decision)) evidence = p->evidence;
    }
    EXPECT_EQ(evidence.empty(), mean_us < 200);
    if (mean_us > 200) {
      EXPECT_NE(evidence.find("210 us per time slice, as a mean (limit 200 us)"), std::string::npos)
          << evidence;
    }
  }
}

TEST(AffinityTuner, WithoutBpfTheShareOfWaitingCounts) {
  for (const double delay_share : {0.04, 0.06}) {
    Machine machine({0.8, 0.1});
    machine.add_worker(1, cpus("0"));
    AffinityTuner tuner(AffinityLimits{});
    size_t proposals = 0;
    for (uint64_t s = 100; s < 103; ++s) {
      SchedInterval interval = machine.interval(false);
      interval.threads[0].delay_share = delay_share;
      proposals += tuner.step(interval, cpus("0-1"), s * kSecond).index() == 1 ? 1U : 0U;
    }
    EXPECT_EQ(proposals, delay_share > 0.05 ? 1U : 0U);
  }
}

TEST(AffinityTuner, AnIntervalOfNoTimeSaysNothing) {
  Machine machine({0.8, 0.1});
  machine.add_worker(1, cpus("0"));
  AffinityTuner tuner(AffinityLimits{});
  for (uint64_t s = 100; s < 110; ++s) {
    SchedInterval interval = machine.interval();
    interval.seconds = 0;
    EXPECT_EQ(tuner.step(interval, cpus("0-1"), s * kSecond).index(), 0U);
  }
}

// What was measured partly before the change is not held against it.
TEST(AffinityTuner, TheIntervalOfTheChangeIsNotJudged) {
  AffinityLimits limits;
  limits.verify_ns = kSecond;
  Machine machine({0.8, 0.1});
  machine.add_worker(1, cpus("0"));
  AffinityTuner tuner(limits);
  tuner.step(machine.interval(), cpus("0-1"), 100 * kSecond);
  const auto decision = tuner.step(machine.interval(), cpus("0-1"), 101 * kSecond);
  machine.move(std::get<AffinityProposal>(decision));
  tuner.applied(101 * kSecond + kSecond / 2);
  SchedInterval partial = machine.interval();
  partial.threads[0].wakeup_ns_p99 = 500'000'000;
  EXPECT_EQ(tuner.step(partial, cpus("0-1"), 102 * kSecond).index(), 0U);
  const auto verdict = tuner.step(machine.interval(), cpus("0-1"), 103 * kSecond);
  EXPECT_EQ(std::get<AffinityVerdict>(verdict).kind, Kind::kKeep);
}

// A thread that was moved long ago starts again with the short cooldown.
TEST(AffinityTuner, LongQuietIsForgiven) {
  Machine machine({0.8, 0.1});
  machine.add_worker(1, cpus("0"));
  AffinityTuner tuner(AffinityLimits{});
  const uint64_t before = run(machine, tuner, cpus("0-1"), 100, 1000, false).proposals.size();
  machine.foreign()[0] = 0;
  EXPECT_TRUE(run(machine, tuner, cpus("0-1"), 1100, 50000, false).proposals.empty());
  machine.foreign()[0] = 0.8;
  EXPECT_EQ(run(machine, tuner, cpus("0-1"), 51100, 1000, false).proposals.size(), before);
}

TEST(AffinityTuner, AQuietCpuInTheMaskIsTheSchedulersToUse) {
  Machine machine({0.9, 0.1, 0.0});
  machine.add_worker(1, cpus("0-1"));
  machine.follows_cpu = false;
  AffinityTuner tuner(AffinityLimits{});
  EXPECT_TRUE(run(machine, tuner, cpus("0-2"), 100, 60).proposals.empty());
}

TEST(AffinityTuner, UndoesWhatDidNotHelpAndBacksOff) {
  Machine machine({0.8, 0.1});
  machine.add_worker(1, cpus("0"));
  machine.follows_cpu = false;
  AffinityTuner tuner(AffinityLimits{});
  const Tally tally = run(machine, tuner, cpus("0-1"), 100, 3600);
  ASSERT_FALSE(tally.verdicts.empty());
  for (const AffinityVerdict& verdict : tally.verdicts) EXPECT_EQ(verdict.kind, Kind::kRevert);
  EXPECT_GE(tally.proposals.size(), 2U);
  EXPECT_LE(tally.proposals.size(), 7U) << "an hour: the cooldown doubles twice a round";
  EXPECT_EQ(machine.threads()[0].allowed, cpus("0"));
}

TEST(AffinityTuner, OneChangeAtATime) {
  Machine machine({0.8, 0.8, 0.0, 0.0});
  machine.add_worker(1, cpus("0"));
  machine.add_worker(2, cpus("1"));
  AffinityTuner tuner(AffinityLimits{});
  EXPECT_EQ(run(machine, tuner, cpus("0-3"), 100, 5).proposals.size(), 1U) << "still verifying";
  const Tally rest = run(machine, tuner, cpus("0-3"), 105, 60);
  ASSERT_EQ(rest.proposals.size(), 1U);
  EXPECT_EQ(machine.threads()[0].allowed.count(), 1);
  EXPECT_NE(machine.threads()[0].allowed, machine.threads()[1].allowed) << "the emptier CPU";
}

TEST(AffinityTuner, TheWorstWorkerGoesFirst) {
  Machine machine({0.6, 0.9, 0.0});
  machine.add_worker(1, cpus("0"));
  machine.add_worker(2, cpus("1"));
  AffinityTuner tuner(AffinityLimits{});
  const Tally tally = run(machine, tuner, cpus("0-2"), 100, 3);
  ASSERT_EQ(tally.proposals.size(), 1U);
  EXPECT_EQ(tally.proposals[0].tid, 2);
}

TEST(AffinityTuner, AdviceIsRepeatedEverMoreRarely) {
  Machine machine({0.8, 0.1});
  machine.add_worker(1, cpus("0"));
  AffinityTuner tuner(AffinityLimits{});
  const Tally tally = run(machine, tuner, cpus("0-1"), 100, 1000, false);
  EXPECT_GE(tally.proposals.size(), 3U);
  EXPECT_LE(tally.proposals.size(), 8U);
  EXPECT_TRUE(tally.verdicts.empty());
}

TEST(AffinityTuner, AdviceStandsWhileTheThreadWaits) {
  Machine machine({0.8, 0.1});
  machine.add_worker(1, cpus("0"));
  AffinityTuner tuner(AffinityLimits{});
  run(machine, tuner, cpus("0-1"), 100, 1, false);
  EXPECT_TRUE(tuner.standing().empty()) << "nothing was said yet";
  run(machine, tuner, cpus("0-1"), 101, 60, false);
  EXPECT_EQ(tuner.standing(), std::vector<std::string>{"thread 1 (ws-worker-1)"});
  machine.foreign()[0] = 0.05;
  run(machine, tuner, cpus("0-1"), 161, 1, false);
  EXPECT_TRUE(tuner.standing().empty());
}

TEST(AffinityTuner, LosesSightOfWhatOthersTouch) {
  for (const bool gone : {true, false}) {
    Machine machine({0.8, 0.1, 0.0});
    machine.add_worker(1, cpus("0"));
    AffinityTuner tuner(AffinityLimits{});
    ASSERT_EQ(run(machine, tuner, cpus("0-2"), 100, 2).proposals.size(), 1U);
    if (gone) {
      machine.threads().clear();
    } else {
      machine.set_mask(1, cpus("1"));
    }
    const Tally tally = run(machine, tuner, cpus("0-2"), 102, 1);
    ASSERT_EQ(tally.verdicts.size(), 1U);
    EXPECT_EQ(tally.verdicts[0].kind, Kind::kLost);
  }
}

TEST(AffinityTuner, AReusedTidIsAnotherThread) {
  Machine machine({0.8, 0.1});
  machine.add_worker(1, cpus("0"));
  AffinityTuner tuner(AffinityLimits{});
  run(machine, tuner, cpus("0-1"), 100, 1);
  machine.threads()[0].start_ticks = 5;
  EXPECT_TRUE(run(machine, tuner, cpus("0-1"), 101, 1).proposals.empty());
}

// Load that is always just below a limit, or above it for one interval only.
TEST(AffinityTuner, QuietAndNoisyTracesGiveNothing) {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> share(0, 1);
  for (int trace = 0; trace < 200; ++trace) {
    Machine machine({0, 0, 0, 0});
    machine.add_worker(1, cpus("0"));
    machine.add_worker(2, cpus("1-2"));
    AffinityTuner tuner(AffinityLimits{});
    for (uint64_t s = 100; s < 200; ++s) {
      for (double& foreign : machine.foreign()) {
        foreign = s % 2 == 0 ? share(random) : 0.29 * share(random);
      }
      EXPECT_TRUE(run(machine, tuner, cpus("0-3"), s, 1).proposals.empty());
    }
  }
}

// Anything at all, absurd figures included: whatever is proposed is within bounds.
TEST(AffinityTuner, BoundsHoldWhateverComesIn) {
  std::mt19937 random(13);
  std::uniform_real_distribution<double> share(-0.5, 1.5);
  size_t proposals = 0;
  for (int trace = 0; trace < 300; ++trace) {
    AffinityTuner tuner(AffinityLimits{});
    uint64_t last_proposal_s = 0;
    for (uint64_t s = 100; s < 200; ++s) {
      CpuSet usable;
      for (int cpu = 0; cpu < 6; ++cpu) {
        if (random() % 4 != 0) usable.add(cpu);
      }
      SchedInterval interval;
      interval.seconds = random() % 20 == 0 ? 0 : 1;
      for (int cpu = 0; cpu < 6; ++cpu) {
        if (random() % 8 == 0) continue;
        const double busy = random() % 50 == 0 ? std::nan("") : share(random);
        interval.cpus.push_back({cpu, busy, random() % 3 == 0 ? share(random) : 0});
        if (random() % 2 == 0) {
          interval.cpus.back().foreign_runnable = static_cast<int>(random() % 9);
        }
      }
      for (pid_t tid = 1; tid < 4; ++tid) {
        ThreadSched thread;
        thread.tid = tid;
        thread.is_worker = true;
        thread.allowed = CpuSet::of(static_cast<int>(trace + tid) % 6);
        thread.run_share = random() % 50 == 0 ? std::nan("") : share(random);
        thread.delay_share = share(random);
        thread.delay_ns_mean = random() % 20'000'000;
        if (random() % 2 == 0) thread.wakeup_ns_p99 = random() % 20'000'000;
        interval.threads.push_back(thread);
      }
      const auto decision = tuner.step(interval, usable, s * kSecond);
      const auto* const proposal = std::get_if<AffinityProposal>(&decision);
      if (proposal == nullptr) continue;
      ++proposals;
      EXPECT_EQ(proposal->to.count(), 1);
      EXPECT_EQ(proposal->to & usable, proposal->to);
      EXPECT_FALSE(proposal->from.contains(proposal->to.first()));
      EXPECT_TRUE(last_proposal_s == 0 || s - last_proposal_s >= 5) << "cooldown";
      last_proposal_s = s;
      if (random() % 2 == 0) tuner.applied(s * kSecond);
    }
  }
  EXPECT_GT(proposals, 100U) << "the traces do reach the rule";
}

}  // namespace
}  // namespace epulse::tuners
