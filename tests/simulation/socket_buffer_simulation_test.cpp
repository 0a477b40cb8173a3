#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "agent/tuners/socket_buffers.hpp"
#include "tests/simulation/seed.hpp"

namespace epulse::simulation {
namespace {

using model::BufferSide;
using model::SocketSample;
using tuners::SocketBufferLimits;
using tuners::SocketBufferProposal;
using tuners::SocketBufferTuner;

constexpr uint64_t kSecond = 1'000'000'000;

SocketSample& sample_of(std::vector<SocketSample>& sockets, uint64_t inode) {
  return *std::find_if(sockets.begin(), sockets.end(),
                       [&](const SocketSample& one) { return one.inode == inode; });
}

void apply(std::vector<SocketSample>& sockets, const SocketBufferProposal& proposal) {
  SocketSample& socket = sample_of(sockets, proposal.sample.inode);
  (proposal.side == BufferSide::kReceive ? socket.rcvbuf_bytes : socket.sndbuf_bytes) =
      proposal.to_bytes;
}

// Whatever fills the buffers: how full they are may follow from their size, from nothing, or grow
// with it, so that no size is ever enough.
TEST(SocketBufferSimulation, WhateverFillsThemItEndsWithinTheBounds) {
  std::mt19937_64 random(seed());
  int proposals = 0;
  for (int trace = 0; trace < 500; ++trace) {
    SocketBufferLimits limits;
    limits.floor_bytes = 2048U << (random() % 5);
    limits.rcvbuf_max_bytes = limits.floor_bytes << (random() % 9);
    limits.sndbuf_max_bytes = limits.floor_bytes << (random() % 9);
    limits.cooldown_ns = (1 + random() % 60) * kSecond;
    SocketBufferTuner tuner(limits, 4711);
    const uint64_t rule = random() % 3;
    const uint64_t backlog = random() % 8'000'000;
    std::vector<SocketSample> sockets(1 + random() % 4);
    for (size_t i = 0; i < sockets.size(); ++i) {
      sockets[i].inode = 100 + i;
      sockets[i].rcvbuf_bytes = 2304 + random() % 10'000'000;
      sockets[i].sndbuf_bytes = 4608 + random() % 10'000'000;
    }
    std::map<std::pair<uint64_t, BufferSide>, std::pair<int, uint64_t>> history;  // changes, last s
    for (uint64_t s = 1; s < 1000; ++s) {
      for (SocketSample& socket : sockets) {
        const double share = static_cast<double>(random() % 1300) / 1000;
        const auto fill = [&](uint64_t size) {
          if (rule == 0) return std::min(backlog, size);  // a backlog that a large one holds
          return static_cast<uint64_t>((rule == 1 ? share : 1.2) * static_cast<double>(size));
        };
        socket.rmem_alloc_bytes = fill(socket.rcvbuf_bytes);
        socket.wmem_queued_bytes = fill(socket.sndbuf_bytes);
      }
      for (const SocketBufferProposal& proposal : tuner.step(sockets, s * kSecond)) {
        ++proposals;
        const bool receive = proposal.side == BufferSide::kReceive;
        EXPECT_GT(proposal.to_bytes, proposal.from_bytes) << "it never shrinks one";
        EXPECT_GE(proposal.to_bytes, limits.floor_bytes);
        EXPECT_LE(proposal.to_bytes, receive ? limits.rcvbuf_max_bytes : limits.sndbuf_max_bytes);
        auto& [times, last_s] = history[{proposal.sample.inode, proposal.side}];
        EXPECT_TRUE(times == 0 || (s - last_s) * kSecond >= limits.cooldown_ns) << "cooldown";
        EXPECT_LE(++times, 13) << "from 2 KiB to 4 MiB it doubles eleven times";
        last_s = s;
        apply(sockets, proposal);
      }
    }
    if (HasFailure()) break;
  }
  std::printf("%d changes\n", proposals);
  EXPECT_GT(proposals, 100) << "the traces do reach the rule";
}

// A healthy connection is drained at each turn of the loop; a sample that finds it full is bad
// luck, one in a hundred at most, and one such sample is no reason.
TEST(SocketBufferSimulation, NoiseOfHealthyConnectionsChangesNothing) {
  std::mt19937_64 random(seed());
  constexpr int kTraces = 10'000;
  int false_actions = 0;
  for (int trace = 0; trace < kTraces; ++trace) {
    SocketBufferTuner tuner(SocketBufferLimits{}, 4711);
    SocketSample socket;
    socket.inode = 100;
    socket.rcvbuf_bytes = socket.sndbuf_bytes = 131072;
    bool acted = false;
    for (uint64_t s = 0; s < 600 && !acted; s += 5) {
      socket.rmem_alloc_bytes = random() % 150 == 0 ? 120'000 : random() % 60'000;
      socket.wmem_queued_bytes = random() % 150 == 0 ? 120'000 : random() % 60'000;
      acted = !tuner.step(std::span(&socket, 1), s * kSecond).empty();
    }
    false_actions += acted ? 1 : 0;
  }
  std::printf("%d of %d traces led to an action\n", false_actions, kTraces);
  EXPECT_LT(false_actions, kTraces / 1000);
}

}  // namespace
}  // namespace epulse::simulation
