#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/model/socket_sample.hpp"
#include "agent/tuners/proposal.hpp"

namespace epulse::tuners {

struct SocketBufferLimits {
  double pressure_share = 0.75;
  uint64_t floor_bytes = 16384;
  uint64_t rcvbuf_max_bytes = 4194304;
  uint64_t sndbuf_max_bytes = 4194304;
  uint64_t cooldown_ns = 30'000'000'000;
};

struct SocketBufferProposal : Proposal {
  model::SocketSample sample;  // what it was decided on
  model::BufferSide side = model::BufferSide::kReceive;
  uint64_t from_bytes = 0;
  uint64_t to_bytes = 0;
};

// Doubles a buffer that keeps running full, up to a ceiling. It never shrinks one.
class SocketBufferTuner {
 public:
  // Of one process, which advice names.
  SocketBufferTuner(const SocketBufferLimits& limits, pid_t pid) : limits_(limits), pid_(pid) {}

  // Once per sampling, with all of the process's sockets. A buffer proposed for is left alone for
  // the cooldown, applied or not.
  std::vector<SocketBufferProposal> step(std::span<const model::SocketSample> samples,
                                         uint64_t now_ns);

 private:
  using BufferId = std::pair<uint64_t, model::BufferSide>;  // inode

  struct Memory {
    int pressed = 0;  // consecutive samples
    uint64_t not_before_ns = 0;
  };

  void judge(const model::SocketSample& sample, model::BufferSide side, uint64_t now_ns,
             std::vector<SocketBufferProposal>& proposals);
  SocketBufferProposal proposal_for(const model::SocketSample& sample, model::BufferSide side,
                                    uint64_t target_bytes) const;

  SocketBufferLimits limits_;
  pid_t pid_;
  std::map<BufferId, Memory> memory_;
};

}  // namespace epulse::tuners
