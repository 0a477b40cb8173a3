#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "agent/model/socket_sample.hpp"
#include "agent/tuners/proposal.hpp"
#include "agent/tuners/socket_watch.hpp"

namespace epulse::tuners {

struct SocketBufferLimits {
  double pressure_share = 0.75;
  uint64_t floor_bytes = 16384;
  uint64_t rcvbuf_max_bytes = 4194304;
  uint64_t sndbuf_max_bytes = 4194304;
  uint64_t cooldown_ns = 30'000'000'000;
  uint64_t verify_ns = 5'000'000'000;
  double improvement_min = 0.1;
};

struct SocketBufferProposal : Proposal {
  model::SocketSample sample;  // what it was decided on
  model::BufferSide side = model::BufferSide::kReceive;
  uint64_t from_bytes = 0;
  uint64_t to_bytes = 0;
};

struct SocketBufferVerdict {
  bool keep = false;  // else undo all of them
  std::string evidence;
};

// Doubles buffers that keep running full, up to a ceiling; by more where that did not help. It
// never shrinks one.
//
// Those that a survey finds full three times in a row are looked at closely, up to 64 of one side
// together: for a while as they are, which gives the figures to compare with, free of the chance
// that had picked them; then, changed, for as long again. Nothing else is surveyed meanwhile.
class SocketBufferTuner {
 public:
  using Proposals = std::vector<SocketBufferProposal>;
  using Decision = std::variant<std::monostate, Proposals, SocketBufferVerdict>;

  // Of one process, which advice names.
  SocketBufferTuner(const SocketBufferLimits& limits, pid_t pid) : limits_(limits), pid_(pid) {}

  // Now and then, with all of the process's sockets. Of no effect while some are watched.
  void survey(std::span<const model::SocketSample> samples, uint64_t now_ns);

  // Their descriptors, to be looked at some ten times a second; none most of the time.
  std::vector<int> watched() const;
  bool is_watching() const { return watch_.has_value(); }
  void look(std::span<const model::SocketSample> samples, uint64_t now_ns);

  // Once per interval. A buffer proposed for is left alone for the cooldown, applied or not.
  Decision decide(uint64_t now_ns);

  // Targets proposed for that the last survey found full still.
  std::vector<std::string> standing() const;

  // Those of the last proposals are in force since `now_ns`: give a verdict on them.
  void applied(std::span<const SocketBufferProposal> made, uint64_t now_ns);

  // Another change was made: what was seen up to now is nothing to compare with.
  void abandon() { watch_.reset(); }

 private:
  using BufferId = std::pair<uint64_t, model::BufferSide>;  // inode
  // Larger buffers may help where twice the size does not: a packet that is larger still fits in
  // neither. So each time that a change was undone the next one is larger.
  static constexpr uint64_t kFactor = 2;
  static constexpr uint64_t kFactorGrowth = 4;
  static constexpr uint64_t kFactorMax = 1024;

  struct Memory {
    int pressed = 0;       // consecutive surveys, since it was proposed for
    bool full = false;     // by the last one
    std::string proposed;  // for this target; empty: not yet
    uint64_t not_before_ns = 0;
    uint64_t cooldown_ns = 0;
    std::optional<uint64_t> drops;  // at the survey before
    uint64_t factor = kFactor;      // of the next change
  };

  // Of the buffers of one side of one socket.
  struct Buffer {
    uint64_t used = 0;
    uint64_t size = 0;
    uint64_t ceiling = 0;
    uint64_t target = 0;  // what it would be given; 0 where it stays
  };

  Buffer buffer(const model::SocketSample& sample, model::BufferSide side, uint64_t factor) const;
  bool is_pressed(const model::SocketSample& sample, model::BufferSide side, uint64_t now_ns);
  Decision propose(uint64_t now_ns);
  Decision verify(uint64_t now_ns);
  Decision conclude(bool keep, std::string evidence, uint64_t now_ns);
  void rest(const model::SocketSample& sample, uint64_t now_ns);
  void give_up(uint64_t now_ns);
  SocketBufferProposal proposal_for(const model::SocketSample& sample, const Buffer& buffer) const;

  SocketBufferLimits limits_;
  pid_t pid_;
  std::map<BufferId, Memory> memory_;
  std::optional<SocketWatch> watch_;
  std::optional<SocketWatch::Found> before_;  // there while a change is verified
  bool proposed_ = false;                     // by the last decision
  uint64_t since_ns_ = 0;                     // of the watch, or of the change
  // After one that was undone, of all buffers: connections come and go, their server stays.
  uint64_t not_before_ns_ = 0;
  uint64_t cooldown_ns_ = limits_.cooldown_ns;
};

}  // namespace epulse::tuners
