#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/daemon/target_sampler.hpp"
#include "agent/kernel/interference_sampler.hpp"
#include "agent/tuners/diagnosis.hpp"

namespace epulse::daemon {

// Gathers what tuners::Diagnosis wants to know beside a TargetSample.
class Causes {
 public:
  explicit Causes(pid_t pid);

  // Once per interval.
  tuners::Findings step(const TargetSample& sample, uint64_t now_ns);

 private:
  void look_around(const TargetSample& sample, uint64_t now_ns);

  pid_t pid_;
  kernel::InterferenceSampler interference_;
  tuners::Diagnosis diagnosis_;
  uint64_t next_look_ns_ = 0;
  // What is dear to read and changes seldom.
  std::string process_;
  std::string cgroup_;
  size_t listeners_ = 0;
};

}  // namespace epulse::daemon
