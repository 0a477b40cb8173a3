#include <gtest/gtest.h>

#include <random>

#include "agent/tuners/socket_buffers.hpp"
#include "tests/agent/socket_driver.hpp"

namespace epulse::tuners {
namespace {

using model::BufferSide;
using model::SocketSample;
using Proposals = SocketBufferTuner::Proposals;

// Connections that are all alike: how full their buffers are, and what goes through in 0.1 s.
struct Traffic {
  size_t connections = 1;
  uint64_t first_inode = 99;
  double receive_share = 0;
  double send_share = 0;
  uint64_t bytes = 131072;  // size of both buffers
  uint64_t moved = 100'000;
  uint64_t drops = 0;
  uint64_t segment_bytes = 1460;
};

class SocketBufferTunerTest : public testing::Test {
 protected:
  std::vector<SocketSample> sockets() {
    total_ += traffic.moved;
    drops_ += traffic.drops;
    std::vector<SocketSample> all;
    for (size_t i = 0; i < traffic.connections; ++i) {
      SocketSample sample;
      sample.fd = 12 + static_cast<int>(i);
      sample.inode = traffic.first_inode + i;
      sample.rcvbuf_bytes = sample.sndbuf_bytes = traffic.bytes;
      const auto size = static_cast<double>(traffic.bytes);
      sample.rmem_alloc_bytes = static_cast<uint64_t>(traffic.receive_share * size);
      sample.wmem_queued_bytes = static_cast<uint64_t>(traffic.send_share * size);
      sample.received_bytes = sample.acked_bytes = total_;
      sample.drops = drops_;
      sample.segment_bytes = traffic.segment_bytes;
      all.push_back(sample);
    }
    return all;
  }

  // The first proposals within so many seconds.
  Proposals proposals(int seconds = 60) {
    for (int i = 0; i < seconds; ++i) {
      auto decision = driver.second();
      if (auto* const found = std::get_if<Proposals>(&decision)) return *found;
    }
    return {};
  }
  std::optional<SocketBufferVerdict> verdict(int seconds = 60) {
    for (int i = 0; i < seconds; ++i) {
      auto decision = driver.second();
      if (auto* const found = std::get_if<SocketBufferVerdict>(&decision)) return *found;
    }
    return {};
  }
  // Full until it is changed to twice the size, then as `after` says.
  std::optional<SocketBufferVerdict> verdict_on(const Traffic& after) {
    traffic.receive_share = 0.9;
    const Proposals made = proposals(10'000);
    if (made.empty()) return {};
    const uint64_t inode = traffic.first_inode;
    traffic = after;
    traffic.first_inode = inode;
    driver.tuner().applied(made, driver.now_ns());
    return verdict();
  }

  Traffic traffic;
  SocketBufferLimits limits;
  SocketDriver driver{limits, [this] { return sockets(); }};

 private:
  uint64_t total_ = 0;
  uint64_t drops_ = 0;
};

TEST_F(SocketBufferTunerTest, DoublesWhatThreeSurveysAndCloserLooksFindFull) {
  traffic.receive_share = 0.8;
  const uint64_t start_s = driver.now_s();
  const Proposals found = proposals();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(driver.now_s() - start_s, 13U) << "three surveys, a hundred looks and one before them";
  EXPECT_EQ(found[0].side, BufferSide::kReceive);
  EXPECT_EQ(found[0].from_bytes, 131072U);
  EXPECT_EQ(found[0].to_bytes, 262144U);
  EXPECT_EQ(
      found[0].evidence,
      "the receive buffer of fd 12 has 104857 of 131072 bytes in use; it was at least 75 % "
      "full, dropped packets or held no segment, in 3 samples in a row, and 1 buffers were in "
      "100 % of 109 closer looks with traffic");
  EXPECT_EQ(found[0].scenario, "socket_buffers.receive-full");
  EXPECT_EQ(found[0].target, "receive buffer of fd 12 of process 4711");
  EXPECT_EQ(found[0].by_hand,
            "in process 4711: setsockopt(12, SOL_SOCKET, SO_RCVBUF, 131072), half of what it "
            "reports");
  EXPECT_EQ(found[0].bounds, "16384 to 4194304 bytes; at most once in 30 s");
  ASSERT_FALSE(found[0].figures.empty());
  EXPECT_EQ(found[0].figures[0].name, "full_share");
  EXPECT_EQ(found[0].figures[0].value, 1);
}

TEST_F(SocketBufferTunerTest, PressureMustBeConsecutive) {
  for (int i = 0; i < 100; ++i) {
    traffic.receive_share = i % 3 != 0 ? 1.0 : 0.7;
    EXPECT_EQ(driver.second().index(), 0U);
    EXPECT_FALSE(driver.tuner().is_watching());
  }
}

// Whatever the surveys found, seldom full is not worth a change.
TEST_F(SocketBufferTunerTest, CloserLooksHaveTheLastWord) {
  traffic.receive_share = 1;
  for (int i = 0; i < 3; ++i) driver.second();
  ASSERT_TRUE(driver.tuner().is_watching());
  EXPECT_EQ(driver.tuner().watched(), std::vector<int>{12});
  traffic.receive_share = 0.1;
  EXPECT_TRUE(proposals(20).empty());
  EXPECT_FALSE(driver.tuner().is_watching());
}

TEST_F(SocketBufferTunerTest, SidesAreApart) {
  traffic.receive_share = 0.1;
  traffic.send_share = 1.5;
  const Proposals found = proposals();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].side, BufferSide::kSend);
}

TEST_F(SocketBufferTunerTest, SoManyAtOnceAndNoMore) {
  traffic.connections = 1000;
  traffic.receive_share = 1;
  EXPECT_EQ(proposals().size(), 64U);
}

TEST_F(SocketBufferTunerTest, WaitsForTheCooldown) {
  traffic.receive_share = 1;
  ASSERT_FALSE(proposals().empty());
  const uint64_t first_s = driver.now_s();
  ASSERT_FALSE(proposals().empty());
  EXPECT_GE(driver.now_s() - first_s, 30U);
}

TEST_F(SocketBufferTunerTest, AdviceStandsWhileTheBufferIsFull) {
  traffic.receive_share = 1;
  driver.second();
  EXPECT_TRUE(driver.tuner().standing().empty()) << "nothing was said yet";
  ASSERT_FALSE(proposals().empty());
  for (int s = 0; s < 5; ++s) driver.second();
  EXPECT_EQ(driver.tuner().standing(),
            std::vector<std::string>{"receive buffer of fd 12 of process 4711"});
  traffic.receive_share = 0.1;
  driver.second();
  EXPECT_TRUE(driver.tuner().standing().empty());
}

TEST_F(SocketBufferTunerTest, ForgetsClosedSockets) {
  traffic.receive_share = 1;
  driver.second();
  driver.second();
  traffic.connections = 0;
  driver.second();
  traffic.connections = 1;
  driver.second();
  EXPECT_FALSE(driver.tuner().is_watching()) << "an inode reused is a new socket";
}

TEST_F(SocketBufferTunerTest, KeepsWhatIsSeldomerFullOrLetsMoreThrough) {
  for (const Traffic& better : {Traffic{.receive_share = 0.4, .bytes = 262144},
                                Traffic{.receive_share = 0.9, .bytes = 262144, .moved = 150'000}}) {
    const auto found = verdict_on(better);
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->keep) << found->evidence;
    EXPECT_NE(found->evidence.find("that is no chance"), std::string::npos) << found->evidence;
    driver.tuner().abandon();
    traffic = {.first_inode = 200};
  }
}

TEST_F(SocketBufferTunerTest, UndoesWhatDidNotHelpAndBacksOff) {
  const Traffic as_bad{.receive_share = 0.9, .bytes = 131072, .moved = 104'000};
  const auto found = verdict_on(as_bad);
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->keep) << found->evidence;
  EXPECT_NE(found->evidence.find("1 receive buffers: full in 100 % of"), std::string::npos)
      << found->evidence;
  EXPECT_NE(found->evidence.find("median 1.00 MB/s before"), std::string::npos) << found->evidence;
  // Of other connections of the same server likewise.
  traffic.first_inode = 500;
  uint64_t pause_s = 0;
  for (const uint64_t least_s : {60U, 120U, 240U}) {
    const uint64_t start_s = driver.now_s();
    ASSERT_TRUE(verdict_on({.receive_share = 0.9}));
    pause_s = driver.now_s() - start_s;
    EXPECT_GE(pause_s, least_s);
  }
  // Over the hours next to nothing.
  int changes = 0;
  for (int hour = 0; hour < 12; ++hour) {
    for (int s = 0; s < 3600; ++s) {
      auto decision = driver.second();
      const auto* const made = std::get_if<Proposals>(&decision);
      if (made == nullptr) continue;
      ++changes;
      driver.tuner().applied(*made, driver.now_ns());
    }
  }
  EXPECT_LE(changes, 12);
}

TEST_F(SocketBufferTunerTest, ADropIsAFullBuffer) {
  const auto found = verdict_on({.receive_share = 0.1, .bytes = 262144, .drops = 1});
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->keep) << found->evidence;
}

// Nothing to compare with: watched for longer, then undone, in so many words.
TEST_F(SocketBufferTunerTest, WhereTrafficStoppedNothingIsProven) {
  for (const Traffic& silent : {Traffic{.bytes = 262144, .moved = 0},  // none at all
                                Traffic{.receive_share = 0.1, .bytes = 262144, .moved = 10}}
       // a trickle: emptier, so what
  ) {
    const auto found = verdict_on(silent);
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->keep) << found->evidence;
    const char* const said =
        silent.moved == 0 ? "there is no traffic" : "but there is less traffic";
    EXPECT_NE(found->evidence.find(said), std::string::npos) << found->evidence;
    traffic = {.first_inode = 200};
  }
}

// A packet that is larger than the buffer never gets into it: the sender tries in vain, and nothing
// is queued when somebody looks. Twice the size may not do either.
TEST_F(SocketBufferTunerTest, APacketThatDoesNotFitIsPressureAndTakesALargerStep) {
  const Traffic stuck{.bytes = 16384, .moved = 100, .drops = 1};
  traffic = stuck;
  Proposals made = proposals();
  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made[0].to_bytes, 32768U);
  driver.tuner().applied(made, driver.now_ns());
  auto found = verdict();
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->keep) << found->evidence;
  made = proposals(1000);
  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made[0].to_bytes, 131072U);
  driver.tuner().applied(made, driver.now_ns());
  traffic = {.bytes = 131072, .moved = 1'000'000};
  found = verdict();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->keep) << found->evidence;
}

// As over loopback, whose segments are of 64 KiB: in one step to where some fit in.
TEST_F(SocketBufferTunerTest, ABufferThatHoldsNoSegmentIsTooSmallHoweverEmpty) {
  traffic = {.bytes = 16384, .moved = 100, .segment_bytes = 65483};
  const Proposals made = proposals();
  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made[0].to_bytes, 4U * 65483U);
  traffic = {.bytes = 16384, .moved = 0, .segment_bytes = 65483};
  driver.tuner().abandon();
  EXPECT_TRUE(proposals(200).empty()) << "where nothing comes in it does not matter";
}

TEST_F(SocketBufferTunerTest, TheTimeOfTheVerdictIsExtendedOnce) {
  traffic.receive_share = 0.9;
  const Proposals made = proposals();
  ASSERT_FALSE(made.empty());
  driver.tuner().applied(made, driver.now_ns());
  traffic.receive_share = 0;
  traffic.moved = 0;
  const uint64_t start_s = driver.now_s();
  ASSERT_TRUE(verdict());
  EXPECT_EQ(driver.now_s() - start_s, 21U) << "a second to settle, then four times its time";
}

TEST_F(SocketBufferTunerTest, ClosedConnectionsEndIt) {
  const auto found = verdict_on({.connections = 0});
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->keep);
  EXPECT_EQ(found->evidence, "the connections were closed");
  EXPECT_FALSE(driver.tuner().is_watching());
}

TEST_F(SocketBufferTunerTest, FloorLiftsTinyBuffers) {
  traffic.receive_share = 1;
  traffic.bytes = 2304;
  const Proposals found = proposals();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].to_bytes, 16384U);
}

// Pressure without end, every proposal applied and kept: grows to the ceiling, never beyond, then
// rests.
TEST_F(SocketBufferTunerTest, StopsAtTheCeiling) {
  traffic.receive_share = 1;
  traffic.bytes = 87381;  // odd, as the kernel's own tuning makes them
  for (int s = 0; s < 3600; ++s) {
    auto decision = driver.second();
    const auto* const made = std::get_if<Proposals>(&decision);
    if (made == nullptr) continue;
    EXPECT_GT(made->at(0).to_bytes, traffic.bytes);
    EXPECT_LE(made->at(0).to_bytes, 4194304U);
    traffic.bytes = made->at(0).to_bytes;
    traffic.moved *= 2;
    driver.tuner().applied(*made, driver.now_ns());
  }
  EXPECT_EQ(traffic.bytes, 4194304U);
}

TEST_F(SocketBufferTunerTest, TheCeilingIsAboveTheFloorInRank) {
  limits.rcvbuf_max_bytes = 10001;
  driver = SocketDriver(limits, [this] { return sockets(); });
  traffic.receive_share = 1;
  traffic.bytes = 4608;
  const Proposals found = proposals();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].to_bytes, 10000U);
}

TEST(SocketBufferTuner, BoundsHoldWhateverComesIn) {
  std::mt19937 random(3);
  size_t seen = 0;
  for (int trace = 0; trace < 200; ++trace) {
    SocketBufferLimits limits;
    limits.rcvbuf_max_bytes = 65536 + random() % 8000000;
    limits.cooldown_ns = random() % 3 * 1'000'000'000;
    limits.verify_ns = random() % 10 * 1'000'000'000;
    const bool often = random() % 2 == 0;
    SocketDriver driver(limits, [&] {
      const auto used = [&] { return random() % 8 == 0 && !often ? 0 : uint64_t{5'000'000'000}; };
      SocketSample sample;
      sample.fd = 12;
      sample.inode = 99;
      sample.rcvbuf_bytes = random() % 3 == 0 ? random() : random() % 200000;
      sample.sndbuf_bytes = random() % 3 == 0 ? random() : random() % 200000;
      sample.rmem_alloc_bytes = used();
      sample.wmem_queued_bytes = used();
      sample.received_bytes = random();  // even backwards
      sample.drops = random() % 2;
      return std::vector{sample};
    });
    for (int s = 0; s < 100; ++s) {
      auto decision = driver.second();
      const auto* const made = std::get_if<Proposals>(&decision);
      if (made == nullptr) continue;
      for (const SocketBufferProposal& proposal : *made) {
        ++seen;
        const uint64_t ceiling = proposal.side == BufferSide::kReceive ? limits.rcvbuf_max_bytes
                                                                       : limits.sndbuf_max_bytes;
        EXPECT_GT(proposal.to_bytes, proposal.from_bytes);
        EXPECT_LE(proposal.to_bytes, ceiling);
        EXPECT_EQ(proposal.to_bytes % 2, 0U);
      }
      if (random() % 2 == 0) driver.tuner().applied(*made, driver.now_ns());
    }
  }
  EXPECT_GT(seen, 100U) << "the traces do reach the rule";
}

}  // namespace
}  // namespace epulse::tuners
