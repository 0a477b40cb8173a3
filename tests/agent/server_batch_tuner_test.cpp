#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "agent/tuners/server_batch.hpp"
#include "tests/simulation/seed.hpp"

namespace epulse::tuners {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

struct Load {
  uint32_t batch = 16;
  double full_share = 0.5;
  uint64_t left = 32;
  uint64_t depth = 100;
  uint64_t delay_ns = 2'000'000;
  uint64_t deliveries = 1000;
};

model::EpollSnapshot interval(const Load& load) {
  model::EpollSnapshot result;
  result.duration_ns = result.detailed_ns = kSecond;
  model::WorkerStats worker;
  worker.key = {1, 4712, 3, 1, 4711};
  worker.max_events = load.batch;
  const auto full = static_cast<uint64_t>(load.full_share * static_cast<double>(load.deliveries));
  worker.counters[EPOLL_COUNTER_WAITS] = load.deliveries;
  worker.counters[EPOLL_COUNTER_DELIVERIES] = load.deliveries;
  worker.counters[EPOLL_COUNTER_SATURATED] = full;
  worker.items[EPOLL_ITEMS_LEFT].record(load.left, full);
  worker.items[EPOLL_ITEMS_LISTED].record(load.depth, load.deliveries);
  worker.stages[EPOLL_STAGE_READY_TO_DELIVERED].record(load.delay_ns, load.deliveries);
  result.workers.push_back(worker);
  return result;
}

class ServerBatchTunerTest : public testing::Test {
 protected:
  ServerBatchTuner::Decision step(const Load& load) {
    return tuner_.step(interval(load), ++seconds_ * kSecond);
  }
  // The proposal after so many intervals of it, if any.
  std::optional<ServerBatchProposal> after(int intervals, const Load& load) {
    std::optional<ServerBatchProposal> last;
    for (int i = 0; i < intervals; ++i) {
      const auto decision = step(load);
      if (const auto* const found = std::get_if<ServerBatchProposal>(&decision)) last = *found;
    }
    return last;
  }
  std::optional<ServerBatchVerdict> verdict(const Load& load, int intervals_max = 30) {
    tuner_.applied(seconds_ * kSecond);
    for (int i = 0; i < intervals_max; ++i) {
      const auto decision = step(load);
      if (const auto* const found = std::get_if<ServerBatchVerdict>(&decision)) return *found;
    }
    return {};
  }

  uint64_t seconds_ = 0;
  ServerBatchTuner tuner_{ServerBatchLimits{}, {4711, true, "/run/ws.sock"}};
};

TEST_F(ServerBatchTunerTest, AfterThreeFullIntervalsTheBatchHoldsWhatWasThere) {
  EXPECT_FALSE(after(2, {}));
  const auto proposal = after(1, {});
  ASSERT_TRUE(proposal);
  EXPECT_EQ(proposal->from, 16U);
  EXPECT_EQ(proposal->to, 128U) << "a hundred were on the list";
  EXPECT_EQ(proposal->scenario, "server_buffers.small-batch");
  EXPECT_EQ(proposal->evidence,
            "50 % of the batches of thread 4712 were full (16 events, limit 20 %) and left 32 "
            "ready descriptors behind, in 3 intervals in a row");
  EXPECT_EQ(proposal->by_hand,
            "printf 'set epoll-batch 128\\n' | socat - UNIX-CONNECT:/run/ws.sock");
  EXPECT_EQ(proposal->bounds, "up to 4096 events; at most once in 30 s");
}

TEST_F(ServerBatchTunerTest, IsQuietWhere) {
  for (const Load& load : {
           Load{.full_share = 0.1},            // it is seldom full
           Load{.left = 3},                    // little is left behind
           Load{.deliveries = 50},             // there is next to no load
           Load{.batch = 4096, .left = 5000},  // it is as large as it may become
       }) {
    EXPECT_FALSE(after(10, load)) << load.batch;
  }
  // Full now and then.
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(after(1, i % 3 == 0 ? Load{.left = 0} : Load{}));
}

TEST_F(ServerBatchTunerTest, AnIntervalWithoutDetailIsNeither) {
  model::EpollSnapshot blind = interval({});
  blind.detailed_ns = 0;
  EXPECT_FALSE(after(2, {}));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(tuner_.step(blind, ++seconds_ * kSecond).index(), 0U);
  }
  EXPECT_TRUE(after(1, {}));
}

TEST_F(ServerBatchTunerTest, KeepsWhatHelpedAndUndoesWhatDidNot) {
  ASSERT_TRUE(after(3, {}));
  const auto kept = verdict({.batch = 128, .full_share = 0, .delay_ns = 500'000});
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->keep) << kept->evidence;

  ASSERT_TRUE(after(70, {}));
  const auto undone = verdict({.batch = 128, .full_share = 0, .delay_ns = 1'950'000});
  ASSERT_TRUE(undone);
  EXPECT_FALSE(undone->keep) << undone->evidence;
  EXPECT_NE(undone->evidence.find("ready to delivered: p99"), std::string::npos);
}

// Nothing to compare with: watched for longer, then undone, in so many words.
TEST_F(ServerBatchTunerTest, WithoutTrafficOrDetailItIsUndone) {
  for (const bool blind : {true, false}) {
    for (int i = 0; i < 100 && !after(1, {}); ++i) {
    }
    tuner_.applied(seconds_ * kSecond);
    const uint64_t changed = seconds_;
    std::optional<ServerBatchVerdict> found;
    while (!found && seconds_ < changed + 60) {
      model::EpollSnapshot silent = interval({});
      if (blind) silent.detailed_ns = 0;
      silent.workers.clear();
      const auto decision = tuner_.step(silent, ++seconds_ * kSecond);
      if (const auto* const verdict = std::get_if<ServerBatchVerdict>(&decision)) found = *verdict;
    }
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->keep);
    EXPECT_EQ(seconds_ - changed, 20U) << "four times its time";
    EXPECT_NE(found->evidence.find("there was no traffic since"), std::string::npos)
        << found->evidence;
  }
}

// The first interval after the change works off what had piled up.
TEST_F(ServerBatchTunerTest, TheBacklogOfBeforeDoesNotCount) {
  ASSERT_TRUE(after(3, {}));
  tuner_.applied(seconds_ * kSecond);
  step({.batch = 128, .full_share = 0, .delay_ns = 90'000'000});
  std::optional<ServerBatchVerdict> found;
  while (!found && seconds_ < 30) {
    const auto decision = step({.batch = 128, .full_share = 0, .delay_ns = 500'000});
    if (const auto* const verdict = std::get_if<ServerBatchVerdict>(&decision)) found = *verdict;
  }
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->keep) << found->evidence;
}

TEST_F(ServerBatchTunerTest, WhatIsNotAppliedIsSaidEverMoreRarely) {
  int said = 0;
  for (int i = 0; i < 3600; ++i) said += after(1, {}) ? 1 : 0;
  EXPECT_EQ(said, 7) << "after 30, 60, 120, ... seconds";
}

TEST_F(ServerBatchTunerTest, AdviceStandsWhileBatchesAreFull) {
  after(2, {});
  EXPECT_TRUE(tuner_.standing().empty()) << "nothing was said yet";
  ASSERT_TRUE(after(10, {}));
  EXPECT_EQ(tuner_.standing(), std::vector<std::string>{"epoll batch of process 4711"});
  after(1, {.full_share = 0});
  EXPECT_TRUE(tuner_.standing().empty());
}

// Servers on which batch, fullness and delay follow from one another by any rule.
TEST(ServerBatchSimulation, GrowsWithinBoundsAndComesToRest) {
  const auto seed = simulation::seed();
  std::mt19937_64 random(seed);
  for (int server = 0; server < 200; ++server) {
    const ServerBatchLimits limits{.batch_max = 1U << (4 + random() % 9)};
    ServerBatchTuner tuner(limits, {1, true, "/run/ws.sock"});
    std::uniform_real_distribution<double> share(0, 1);
    uint32_t batch = 1 + static_cast<uint32_t>(random() % limits.batch_max);
    const uint32_t first = batch;
    uint32_t before = batch;
    uint64_t last_change_s = 0;
    int changes = 0;
    for (uint64_t s = 1; s <= 3600; ++s) {
      const Load load{.batch = batch,
                      .full_share = share(random),
                      .left = random() % 5000,
                      .depth = random() % 100'000,
                      .delay_ns = 1 + random() % 100'000'000};
      const auto decision = tuner.step(interval(load), s * kSecond);
      if (const auto* const proposal = std::get_if<ServerBatchProposal>(&decision)) {
        ASSERT_EQ(proposal->from, batch) << "seed " << seed;
        ASSERT_GT(proposal->to, batch) << "seed " << seed;
        ASSERT_LE(proposal->to, limits.batch_max) << "seed " << seed;
        ASSERT_GE((s - last_change_s) * kSecond, changes == 0 ? 0 : limits.cooldown_ns)
            << "seed " << seed;
        before = batch;
        batch = proposal->to;
        last_change_s = s;
        ++changes;
        tuner.applied(s * kSecond);
      } else if (const auto* const verdict = std::get_if<ServerBatchVerdict>(&decision)) {
        if (!verdict->keep) batch = before;
      }
    }
    ASSERT_GE(batch, first) << "seed " << seed;
    ASSERT_LE(changes, 14) << "seed " << seed;
  }
}

}  // namespace
}  // namespace epulse::tuners
