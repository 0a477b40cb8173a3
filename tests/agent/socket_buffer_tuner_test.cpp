#include <gtest/gtest.h>

#include <random>

#include "agent/tuners/socket_buffers.hpp"

namespace epulse::tuners {
namespace {

using model::BufferSide;
using model::SocketSample;

constexpr uint64_t kSecond = 1'000'000'000;

SocketSample socket(double receive_share, double send_share, uint64_t bytes = 131072) {
  SocketSample sample;
  sample.fd = 12;
  sample.inode = 99;
  sample.rcvbuf_bytes = sample.sndbuf_bytes = bytes;
  sample.rmem_alloc_bytes = static_cast<uint64_t>(receive_share * static_cast<double>(bytes));
  sample.wmem_queued_bytes = static_cast<uint64_t>(send_share * static_cast<double>(bytes));
  return sample;
}

std::vector<SocketBufferProposal> step(SocketBufferTuner& tuner, const SocketSample& sample,
                                       uint64_t now_ns) {
  return tuner.step(std::span(&sample, 1), now_ns);
}

TEST(SocketBufferTuner, DoublesAfterThreeFullSamples) {
  SocketBufferTuner tuner(SocketBufferLimits{}, 4711);
  EXPECT_TRUE(step(tuner, socket(0.9, 0), kSecond).empty());
  EXPECT_TRUE(step(tuner, socket(0.9, 0), 2 * kSecond).empty());
  const auto proposals = step(tuner, socket(0.8, 0), 3 * kSecond);
  ASSERT_EQ(proposals.size(), 1U);
  EXPECT_EQ(proposals[0].side, BufferSide::kReceive);
  EXPECT_EQ(proposals[0].from_bytes, 131072U);
  EXPECT_EQ(proposals[0].to_bytes, 262144U);
  EXPECT_NE(proposals[0].evidence.find("80 % full"), std::string::npos) << proposals[0].evidence;
  EXPECT_EQ(proposals[0].scenario, "socket_buffers.receive-full");
  EXPECT_EQ(proposals[0].target, "receive buffer of fd 12 of process 4711");
  EXPECT_EQ(proposals[0].by_hand,
            "in process 4711: setsockopt(12, SOL_SOCKET, SO_RCVBUF, 131072), half of what it "
            "reports");
  EXPECT_EQ(proposals[0].bounds, "16384 to 4194304 bytes; at most once in 30 s");
  ASSERT_FALSE(proposals[0].figures.empty());
  EXPECT_EQ(proposals[0].figures[0].name, "used_share");
}

TEST(SocketBufferTuner, PressureMustBeConsecutive) {
  SocketBufferTuner tuner(SocketBufferLimits{}, 4711);
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_TRUE(step(tuner, socket(i % 3 != 0 ? 1.0 : 0.7, 0), i * kSecond).empty());
  }
}

TEST(SocketBufferTuner, SidesAreApart) {
  SocketBufferTuner tuner(SocketBufferLimits{}, 4711);
  step(tuner, socket(0.1, 1.5), 0);
  step(tuner, socket(0.1, 1.5), 0);
  const auto proposals = step(tuner, socket(0.1, 1.5), kSecond);
  ASSERT_EQ(proposals.size(), 1U);
  EXPECT_EQ(proposals[0].side, BufferSide::kSend);
}

TEST(SocketBufferTuner, WaitsForTheCooldown) {
  SocketBufferTuner tuner(SocketBufferLimits{}, 4711);
  int proposals = 0;
  for (uint64_t s = 0; s <= 60; ++s) {
    proposals += static_cast<int>(step(tuner, socket(1, 0), s * kSecond).size());
  }
  EXPECT_EQ(proposals, 2);  // at 2 s and 32 s
}

TEST(SocketBufferTuner, ForgetsClosedSockets) {
  SocketBufferTuner tuner(SocketBufferLimits{}, 4711);
  step(tuner, socket(1, 0), 0);
  step(tuner, socket(1, 0), 0);
  tuner.step({}, kSecond);
  EXPECT_TRUE(step(tuner, socket(1, 0), 2 * kSecond).empty()) << "an inode reused is a new socket";
}

TEST(SocketBufferTuner, FloorLiftsTinyBuffers) {
  SocketBufferTuner tuner(SocketBufferLimits{}, 4711);
  step(tuner, socket(1, 0, 2304), 0);
  step(tuner, socket(1, 0, 2304), 0);
  const auto proposals = step(tuner, socket(1, 0, 2304), kSecond);
  ASSERT_EQ(proposals.size(), 1U);
  EXPECT_EQ(proposals[0].to_bytes, 16384U);
}

// Pressure without end, every proposal applied: grows to the ceiling, never beyond, then rests.
TEST(SocketBufferTuner, StopsAtTheCeiling) {
  SocketBufferTuner tuner(SocketBufferLimits{}, 4711);
  uint64_t bytes = 87381;  // odd, as the kernel's own tuning makes them
  for (uint64_t s = 0; s < 3600; ++s) {
    for (const auto& proposal : step(tuner, socket(1, 0, bytes), s * kSecond)) {
      EXPECT_GT(proposal.to_bytes, bytes);
      EXPECT_LE(proposal.to_bytes, 4194304U);
      bytes = proposal.to_bytes;
    }
  }
  EXPECT_EQ(bytes, 4194304U);
}

TEST(SocketBufferTuner, TheCeilingIsAboveTheFloorInRank) {
  SocketBufferLimits limits;
  limits.rcvbuf_max_bytes = 10001;
  SocketBufferTuner tuner(limits, 4711);
  step(tuner, socket(1, 0, 4608), 0);
  step(tuner, socket(1, 0, 4608), 0);
  const auto proposals = step(tuner, socket(1, 0, 4608), kSecond);
  ASSERT_EQ(proposals.size(), 1U);
  EXPECT_EQ(proposals[0].to_bytes, 10000U);
}

TEST(SocketBufferTuner, BoundsHoldWhateverComesIn) {
  std::mt19937 random(3);
  for (int trace = 0; trace < 200; ++trace) {
    SocketBufferLimits limits;
    limits.rcvbuf_max_bytes = 65536 + random() % 8000000;
    limits.cooldown_ns = random() % 3 * kSecond;
    SocketBufferTuner tuner(limits, 4711);
    const auto full = [&] { return random() % 2 == 0 ? 0.0 : 1.0; };
    for (uint64_t s = 0; s < 50; ++s) {
      const uint64_t bytes = random() % 3 == 0 ? random() : random() % 200000;
      for (const auto& proposal : step(tuner, socket(full(), full(), bytes), s * kSecond)) {
        const uint64_t ceiling = proposal.side == BufferSide::kReceive ? limits.rcvbuf_max_bytes
                                                                       : limits.sndbuf_max_bytes;
        EXPECT_GT(proposal.to_bytes, proposal.from_bytes);
        EXPECT_LE(proposal.to_bytes, ceiling);
        EXPECT_EQ(proposal.to_bytes % 2, 0U);
      }
    }
  }
}

}  // namespace
}  // namespace epulse::tuners
