#pragma once

#include <cstdint>
#include <string>

#include "agent/config/config.hpp"
#include "agent/control/protocol.hpp"
#include "agent/daemon/alarms.hpp"
#include "agent/daemon/target_sampler.hpp"
#include "agent/daemon/tuning.hpp"
#include "agent/daemon/tuning_log.hpp"

namespace epulse::daemon {

// What is asked about; nothing here is changed.
struct Asked {
  const config::Config& config;
  const TargetSampler& sampler;
  const Tuning& tuning;
  const TuningLog& log;
  const Alarms& alarms;
  const model::SchedInterval& sched;  // the last interval's
  std::string target;                 // "ws-server[4711]"
  std::string mode_why;               // why it is not as configured; empty: it is
  std::string config_error;           // of the last SIGHUP; empty: there was none
  double running_s = 0;
  uint64_t intervals = 0;  // measured since the start
};

// The answer to all requests but "undo", as a line.
std::string answer(const control::Request& request, const Asked& asked);

}  // namespace epulse::daemon
