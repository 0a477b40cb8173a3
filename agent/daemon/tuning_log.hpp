#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/actuate/actuator.hpp"
#include "agent/control/history.hpp"
#include "agent/control/protocol.hpp"
#include "agent/daemon/log_limit.hpp"
#include "agent/tuners/proposal.hpp"

namespace epulse::daemon {

// What tuning says: to the log, to the history, and to who asks for advice.
class TuningLog {
 public:
  // `target` as in History.
  TuningLog(const std::string& state_dir, const std::string& target)
      : state_dir_(state_dir), history_(state_dir, target) {}

  void advised(const tuners::Proposal& proposal, const actuate::Change& change);
  void changed(const tuners::Proposal& proposal, const actuate::Change& change);
  void not_changed(const tuners::Proposal& proposal, std::string_view why);
  // The target is somebody else's now, so there is no advice about it either.
  void stood_down(const tuners::Proposal& proposal, std::string_view why);
  // What only somebody else can do something about.
  void diagnosed(const tuners::Proposal& proposal);
  void kept(std::string_view tuner, std::string_view evidence);
  void undoing(std::string_view tuner, std::string_view evidence);
  // False when one failed.
  bool undone(const std::vector<actuate::Outcome>& outcomes);
  // Changes whose target is gone: connections come and go, which is no news to the log. That
  // somebody else has set what we had changed is.
  void forgotten(const std::vector<actuate::Outcome>& outcomes);
  // Warns when it fires, informs when it is resolved.
  void alarm(std::string_view text, bool fires);

  // The advice was borne out once more: as it was, or with newer figures.
  void still_holds(std::string_view target, uint64_t now_ns);
  void still_holds(const tuners::Proposal& proposal, uint64_t now_ns);
  // Forgets advice that nothing has borne out since then.
  void drop_stale(uint64_t since_ns);

  // One entry for each target of each scenario, the latest proposal, oldest first.
  const std::vector<control::Advice>& advice() const { return advice_; }

 private:
  bool may_log();
  void keep_advice(const tuners::Proposal& proposal);
  void drop_advice(const tuners::Proposal& proposal);
  void note(std::string_view kind, std::string_view text, std::string_view by_hand = {});

  std::string state_dir_;
  control::History history_;
  bool history_failed_ = false;
  // Ten thousand threads or sockets may have the same to say at once; the history has it all.
  LogLimit limit_{100, 10'000'000'000};
  std::vector<control::Advice> advice_;
};

}  // namespace epulse::daemon
