#pragma once

#include <sys/types.h>

#include "agent/daemon/target_sampler.hpp"
#include "agent/tuners/host_advice.hpp"

namespace epulse::daemon {

// Gathers what tuners::HostAdvice wants to know, in one interval of ten: it looks at connections.
class HostObserver {
 public:
  explicit HostObserver(pid_t pid) : pid_(pid) {}

  // Once per interval.
  tuners::Findings step(const TargetSample& sample, uint64_t now_ns);

 private:
  pid_t pid_;
  unsigned intervals_ = 0;
  bool failed_ = false;  // and said so
  tuners::HostAdvice advice_;
};

}  // namespace epulse::daemon
