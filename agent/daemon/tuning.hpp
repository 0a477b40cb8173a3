#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "agent/actuate/actuator.hpp"
#include "agent/config/config.hpp"
#include "agent/daemon/target_sampler.hpp"
#include "agent/tuners/affinity.hpp"
#include "agent/tuners/socket_buffers.hpp"

namespace epulse::daemon {

// From samples to changes: asks the tuners, acts through the actuator or only says what it would
// do.
class Tuning {
 public:
  // Undoes what a daemon that died left in the journal. In apply mode throws Error when the journal
  // cannot be used: no change without one.
  Tuning(pid_t pid, const config::Config& config, config::Mode mode);

  void step(const TargetSample& sample, uint64_t now_ns);

  // Restores everything; false when something could not be.
  bool restore();

 private:
  void propose(const tuners::AffinityProposal& proposal, uint64_t now_ns);
  void conclude(const tuners::AffinityVerdict& verdict);
  void tune_sockets(uint64_t now_ns);
  void apply_socket_buffer(const actuate::SocketBuffer& change,
                           const tuners::SocketBufferProposal& proposal);
  bool log_outcomes(const std::vector<actuate::Outcome>& outcomes) const;

  pid_t pid_;
  config::Mode mode_;
  config::Config config_;
  std::unique_ptr<actuate::Actuator> actuator_;
  tuners::AffinityTuner affinity_;
  tuners::SocketBufferTuner sockets_;
  std::optional<uint64_t> affinity_change_;  // the one under verification
  uint64_t next_sockets_ns_ = 0;
};

}  // namespace epulse::daemon
