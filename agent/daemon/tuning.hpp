#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/actuate/actuator.hpp"
#include "agent/actuate/claim.hpp"
#include "agent/config/config.hpp"
#include "agent/daemon/causes.hpp"
#include "agent/daemon/host_observer.hpp"
#include "agent/daemon/target_sampler.hpp"
#include "agent/daemon/tuning_log.hpp"
#include "agent/tuners/affinity.hpp"
#include "agent/tuners/server_batch.hpp"
#include "agent/tuners/socket_buffers.hpp"

namespace epulse::daemon {

// From samples to changes: asks the tuners, acts through the actuator or only says what it would
// do.
class Tuning {
 public:
  // Undoes what a daemon that died left in the journal. Where that cannot be used, apply becomes
  // advise: no change without a journal, but all else goes on.
  Tuning(pid_t pid, bool is_bundled_server, const config::Config& config, config::Mode mode,
         TuningLog& log);

  void step(const TargetSample& sample, uint64_t now_ns);

  // Connections are watched closely: call look() some ten times a second.
  bool wants_looks() const { return sockets_.is_watching(); }
  void look(uint64_t now_ns);

  // Restores everything; false when something could not be.
  bool restore();

  // The same because somebody asks for it, who does not want it changed again: from now on it is
  // only advised. Returns what became of each change.
  std::vector<actuate::Outcome> undo_and_stand_down();

  // Other limits, or another mode. What was changed stays so unless the mode is no longer apply; a
  // change that has not been judged yet is undone.
  void reconfigure(const config::Config& config, config::Mode mode);

  config::Mode mode() const { return mode_; }
  // Another epulsed changes the process, so that the mode is advise although it was apply.
  bool is_taken() const { return claim_.is_taken; }
  // Why nothing can be changed although the mode was apply; empty: it can.
  const std::string& journal_error() const { return journal_error_; }
  // The changes that are in force; and all that the journal has.
  std::vector<actuate::IntentRecord> pending() const { return actuate::in_force(journaled()); }
  std::vector<actuate::IntentRecord> journaled() const;
  bool is_verifying() const {
    return affinity_change_ || batch_change_ || !socket_changes_.empty();
  }
  // Why nothing was proposed in the interval `sched`: a sentence for each tuner, or
  // for each worker that waits too long.
  std::vector<std::string> why_no_advice(const model::SchedInterval& sched) const;

 private:
  void claim_target();
  void open_journal();
  void tell(const tuners::Findings& findings, uint64_t now_ns);
  void update_advice(uint64_t now_ns);
  void forget_settled();
  void propose(const tuners::AffinityProposal& proposal, uint64_t now_ns);
  void conclude(const tuners::AffinityVerdict& verdict);
  void tune_affinity(const TargetSample& sample, uint64_t now_ns);
  void tune_batch(const TargetSample& sample, uint64_t now_ns);
  void propose_batch(const tuners::ServerBatchProposal& proposal, uint64_t now_ns);
  void undo_change(std::optional<uint64_t>& change, std::string_view tuner);
  void undo_unjudged();
  bool holds(uint64_t change) const;
  bool note_undone(const std::vector<actuate::Outcome>& outcomes);
  void release_journal();
  void try_again(uint64_t now_ns);
  void look_for_room();
  void tune_sockets(uint64_t now_ns);
  void propose_sockets(const tuners::SocketBufferTuner::Proposals& proposals, uint64_t now_ns);
  void undo_socket_changes();
  std::optional<uint64_t> carry_out(const tuners::Proposal& proposal,
                                    const actuate::Change& change);

  tuners::BatchControl batch_control() const;

  pid_t pid_;
  bool is_bundled_server_;
  config::Mode mode_;
  config::Config config_;
  TuningLog& log_;
  actuate::Claim claim_;
  std::unique_ptr<actuate::Actuator> actuator_;
  std::string journal_error_;
  tuners::AffinityTuner affinity_;
  tuners::SocketBufferTuner sockets_;
  tuners::ServerBatchTuner batch_;
  Causes causes_;
  HostObserver host_;
  // Under verification; one tuner's at a time, else nobody could tell which of them has helped.
  std::optional<uint64_t> affinity_change_;
  std::optional<uint64_t> batch_change_;
  std::vector<uint64_t> socket_changes_;
  uint64_t next_sockets_ns_ = 0;
  std::vector<uint64_t> not_restored_;  // although they were to be
  uint64_t next_try_ns_ = 0;
};

}  // namespace epulse::daemon
