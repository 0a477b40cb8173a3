// What workers tell the program that gives them connections.
#include "server/session/accept_load.hpp"

#include <gtest/gtest.h>

#include "bpf/steering.h"

namespace epulse::server {
namespace {

constexpr std::uint64_t kTick = 250'000'000;

class AcceptLoadTest : public ::testing::Test {
 protected:
  // After a tick in which the worker was busy for `share` of the time.
  unsigned depth_after(std::uint64_t events, std::uint64_t turns, double share) {
    stats.events += events;
    stats.loop_turns += turns;
    stats.handler_ns += static_cast<std::uint64_t>(share * kTick);
    now += kTick;
    load.tick(3, stats, now);
    return worker.depth;
  }

  steering_worker worker{};
  AcceptLoads loads{&worker};
  AcceptLoad load{loads, 0};
  epulse_stats_worker stats{};
  std::uint64_t now = 0;
};

TEST_F(AcceptLoadTest, TheDepthIsOfWhatWaits) {
  EXPECT_EQ(depth_after(1000, 100, 1), 9U * STEERING_DEPTH_ONE);
  EXPECT_EQ(depth_after(150, 100, 1), STEERING_DEPTH_ONE / 2U);
  EXPECT_EQ(depth_after(100, 100, 1), 0U);
  EXPECT_EQ(depth_after(100, 1000, 1), 0U);  // turns of which timers and wakes had some
  EXPECT_EQ(depth_after(0, 0, 0), 0U);
  EXPECT_EQ(worker.connections, 3U);
}

// How many events of a worker with little to do chance to come together is no reason to give it
// fewer connections.
TEST_F(AcceptLoadTest, OfAnIdleWorkerNothingWaits) {
  EXPECT_EQ(depth_after(20, 5, 0.02), 0U);
  EXPECT_EQ(depth_after(300, 100, 0.5), STEERING_DEPTH_ONE);
}

TEST_F(AcceptLoadTest, AHandlerThatBeganBeforeTheTickCountsNoMoreThanAllOfIt) {
  EXPECT_EQ(depth_after(200, 100, 4), STEERING_DEPTH_ONE);
}

}  // namespace
}  // namespace epulse::server
