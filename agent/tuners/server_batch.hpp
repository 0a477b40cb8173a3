#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/model/epoll_stats.hpp"
#include "agent/tuners/proposal.hpp"

namespace epulse::tuners {

struct ServerBatchLimits {
  double saturated_share = 0.2;  // of the returns of epoll_wait with events
  uint32_t batch_max = 4096;
  uint64_t cooldown_ns = 30'000'000'000;
  uint64_t verify_ns = 5'000'000'000;
  double improvement_min = 0.1;
};

// How the batch of the process could be changed.
struct BatchControl {
  pid_t pid = 0;
  bool is_bundled = false;  // epulse-ws
  std::string socket;       // its control socket; "" when it has none
};

struct ServerBatchProposal : Proposal {
  uint32_t from = 0;
  uint32_t to = 0;
};

struct ServerBatchVerdict {
  bool keep = false;  // else undo it: the goal metric did not fall
  std::string evidence;
};

// Enlarges the array that a server gives to epoll_wait (maxevents) where it keeps running full and
// leaves much behind: each turn of the loop has its price, and what one turn writes leaves in one
// call. It never shrinks one. The goal metric is ready to delivered, at p99, of all workers.
class ServerBatchTuner {
 public:
  using Decision = std::variant<std::monostate, ServerBatchProposal, ServerBatchVerdict>;

  ServerBatchTuner(const ServerBatchLimits& limits, BatchControl control)
      : limits_(limits), control_(std::move(control)) {}

  // Once per interval; `now_ns` is monotonic, at its end. Intervals without detail (to keep to the
  // overhead budget) count as neither full nor well.
  Decision step(const model::EpollSnapshot& interval, uint64_t now_ns);

  // The last proposal is in force since `now_ns`: watch it, and give a verdict. Not called, it is
  // repeated ever more rarely.
  void applied(uint64_t now_ns);

  bool is_verifying() const { return watching_; }

  // The target proposed for, where batches are full still.
  std::vector<std::string> standing() const;

 private:
  std::optional<ServerBatchProposal> propose(const model::EpollSnapshot& interval, uint64_t now_ns);
  ServerBatchProposal proposal_for(const model::WorkerStats& worker, uint32_t target) const;
  Decision verify(const model::EpollSnapshot& interval, uint64_t now_ns);
  Decision conclude(bool keep, std::string evidence, uint64_t now_ns);
  const model::WorkerStats* fullest(const model::EpollSnapshot& interval) const;

  ServerBatchLimits limits_;
  BatchControl control_;
  std::deque<model::Histogram> full_;  // ready to delivered, of the last intervals that were full
  model::Histogram before_{model::kNsShape};
  model::Histogram after_{model::kNsShape};
  std::string proposed_;
  bool watching_ = false;
  bool settling_ = false;
  uint64_t since_ns_ = 0;
  uint64_t not_before_ns_ = 0;
  uint64_t cooldown_ns_ = limits_.cooldown_ns;
};

}  // namespace epulse::tuners
