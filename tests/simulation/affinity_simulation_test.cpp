#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/simulation/seed.hpp"
#include "tests/simulation/simulated_machine.hpp"

namespace epulse::simulation {
namespace {

using model::CpuSet;
using tuners::AffinityLimits;
using tuners::AffinityProposal;
using tuners::AffinityTuner;
using tuners::AffinityVerdict;

CpuSet first_cpus(int count) {
  CpuSet set;
  for (int cpu = 0; cpu < count; ++cpu) set.add(cpu);
  return set;
}

double uniform(std::mt19937_64& random, double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(random);
}

// A/A: all CPUs have the same load, so that no move is of use. The load fluctuates by up to a tenth
// of a CPU and for more than an interval; delays are log-normal about medians on both sides of the
// limit, and one in a hundred is ten times longer. Two minutes each.
TEST(AffinitySimulation, NoiseOfCpusThatAreAlikeMovesNothing) {
  std::mt19937_64 random(seed());
  constexpr int kTraces = 10'000;
  constexpr int kCpus = 4;
  const CpuSet usable = first_cpus(kCpus);
  int contended_traces = 0;
  int false_actions = 0;
  for (int trace = 0; trace < kTraces; ++trace) {
    const double level = uniform(random, 0, 0.7);
    const Load load(level, uniform(random, 0, 0.1), uniform(random, 0, 0.5));
    const double median_ns = 1e5 * std::pow(50, uniform(random, 0, 1));
    std::lognormal_distribution<double> delay_ns(std::log(median_ns), 0.5);
    SimulatedMachine machine(
        std::vector<Load>(kCpus, load),
        [&](double, int) { return delay_ns(random) * (random() % 100 == 0 ? 10 : 1); }, random);
    const double run_share = uniform(random, 0.02, 0.2);
    for (int cpu = 0; cpu < kCpus; ++cpu) machine.add_worker(cpu, run_share);
    if (level > 0.3 && median_ns > 1e6) ++contended_traces;
    AffinityTuner tuner(AffinityLimits{});
    for (uint64_t s = 100; s < 220; ++s) {
      if (tuner.step(machine.next(), usable, s * kSecond).index() == 0) continue;
      ++false_actions;
      break;
    }
  }
  std::printf("%d of %d traces led to an action; %d had workers that did wait too long\n",
              false_actions, kTraces, contended_traces);
  EXPECT_GT(contended_traces, 1000) << "the traces do reach the rule";
  EXPECT_LT(false_actions, kTraces / 1000);
}

// Where there is a gain, it is found soon: the tuner is not merely deaf.
TEST(AffinitySimulation, AHogAmongTheSameNoiseIsFound) {
  std::mt19937_64 random(seed());
  constexpr int kTraces = 1'000;
  constexpr int kCpus = 4;
  int found = 0;
  for (int trace = 0; trace < kTraces; ++trace) {
    const Load load(uniform(random, 0, 0.3), uniform(random, 0, 0.1), uniform(random, 0, 0.5));
    std::lognormal_distribution<double> noise(0, 0.3);
    SimulatedMachine machine(
        std::vector<Load>(kCpus, load),
        [&](double others, int) { return (1e5 + 7e6 * others * others) * noise(random); }, random);
    const int hogged = static_cast<int>(random() % kCpus);
    machine.loads()[static_cast<size_t>(hogged)].set_level(0.97);
    for (int cpu = 0; cpu < kCpus; ++cpu) machine.add_worker(cpu, 0.1);
    AffinityTuner tuner(AffinityLimits{});
    for (uint64_t s = 100; s < 110; ++s) {
      const auto decision = tuner.step(machine.next(), first_cpus(kCpus), s * kSecond);
      const auto* const proposal = std::get_if<AffinityProposal>(&decision);
      if (proposal == nullptr) continue;
      found += proposal->from == CpuSet::of(hogged) ? 1 : 0;
      break;
    }
  }
  std::printf("%d of %d found within ten intervals\n", found, kTraces);
  EXPECT_GT(found, kTraces * 95 / 100);
}

// A machine on which what a worker waits for follows from others' load by any rule at all, another
// on each CPU: falling, rising, without regard to it; and the loads are moved about by an adversary
// who likes to come where a worker has just gone.
class RandomSurface {
 public:
  explicit RandomSurface(uint64_t seed)
      : random_(seed),
        cpus_(2 + static_cast<int>(random_() % 7)),
        adversary_(random_() % 3 == 0),
        machine_(loads(), response(), random_),
        tuner_(limits_) {
    const size_t workers = 1 + random_() % 6;
    for (size_t i = 0; i < workers; ++i) {
      machine_.add_worker(static_cast<int>(random_() % static_cast<uint64_t>(cpus_)),
                          uniform(random_, 0, 0.6));
    }
  }

  // An hour; every rule is checked at each step.
  void run() {
    for (uint64_t s = 1000; s < 4600; ++s) step(s);
    for (const auto& [tid, times] : moves_) {
      // The cooldown doubles with each move: 5, 10, 20, ... s; only a quiet of 16 cooldowns
      // shortens it again.
      EXPECT_LE(times, 24) << "thread " << tid << " is moved about";
    }
  }
  int moves() const { return total_; }

 private:
  std::vector<Load> loads() {
    std::vector<Load> all;
    all.reserve(static_cast<size_t>(cpus_));
    for (int cpu = 0; cpu < cpus_; ++cpu) {
      all.emplace_back(uniform(random_, 0, 1), uniform(random_, 0, 0.3), uniform(random_, 0, 0.95));
    }
    return all;
  }

  SimulatedMachine::Response response() {
    for (int cpu = 0; cpu < cpus_; ++cpu) {
      offset_.push_back(uniform(random_, 0, 3e6));
      slope_.push_back(uniform(random_, -1e7, 1e7));
    }
    std::lognormal_distribution<double> noise(0, uniform(random_, 0, 1));
    return [this, noise](double others, int cpu) mutable {
      const auto index = static_cast<size_t>(cpu);
      return (offset_[index] + slope_[index] * others) * noise(random_);
    };
  }

  void step(uint64_t s) {
    CpuSet usable = first_cpus(cpus_);
    if (random_() % 50 == 0)
      usable.remove(static_cast<int>(random_() % static_cast<uint64_t>(cpus_)));
    const auto decision = tuner_.step(machine_.next(), usable, s * kSecond);
    if (const auto* const proposal = std::get_if<AffinityProposal>(&decision)) {
      check(*proposal, usable, s);
      machine_.move(proposal->tid, proposal->to);
      tuner_.applied(s * kSecond);
      change_ = *proposal;
      ++moves_[proposal->tid];
      ++total_;
      if (adversary_) machine_.loads()[static_cast<size_t>(proposal->to.first())].set_level(1);
      if (adversary_) machine_.loads()[static_cast<size_t>(proposal->from.first())].set_level(0);
    } else if (const auto* const verdict = std::get_if<AffinityVerdict>(&decision)) {
      ASSERT_TRUE(change_) << "a verdict on nothing";
      EXPECT_EQ(verdict->tid, change_->tid);
      if (verdict->kind == AffinityVerdict::Kind::kRevert) {
        machine_.move(change_->tid, change_->from);
      }
      change_.reset();
    }
  }

  void check(const AffinityProposal& proposal, const CpuSet& usable, uint64_t s) {
    EXPECT_FALSE(change_) << "one change at a time";
    EXPECT_EQ(proposal.to.count(), 1);
    EXPECT_EQ(proposal.to & usable, proposal.to) << "outside of the cpuset";
    EXPECT_NE(proposal.to, proposal.from);
    EXPECT_GE(s, last_s_ + limits_.cooldown_ns / kSecond) << "within the cooldown";
    EXPECT_FALSE(proposal.evidence.empty() || proposal.by_hand.empty());
    last_s_ = s;
  }

  std::mt19937_64 random_;
  AffinityLimits limits_{};
  int cpus_;
  bool adversary_;
  std::vector<double> offset_;
  std::vector<double> slope_;
  SimulatedMachine machine_;
  AffinityTuner tuner_;
  std::optional<AffinityProposal> change_;
  std::map<pid_t, int> moves_;
  int total_ = 0;
  uint64_t last_s_ = 0;
};

TEST(AffinitySimulation, WhateverTheSurfaceItNeitherOscillatesNorLeavesItsBounds) {
  std::mt19937_64 random(seed());
  int moves = 0;
  for (int trace = 0; trace < 200; ++trace) {
    const uint64_t surface_seed = random();
    SCOPED_TRACE(surface_seed);
    RandomSurface surface(surface_seed);
    surface.run();
    moves += surface.moves();
    if (HasFailure()) break;
  }
  std::printf("%d moves\n", moves);
  EXPECT_GT(moves, 100) << "the surfaces do reach the rule";
}

}  // namespace
}  // namespace epulse::simulation
