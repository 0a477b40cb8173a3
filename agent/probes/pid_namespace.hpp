#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "agent/kernel/facts.hpp"

namespace epulse::probes {

// Between the process ids that we see and those that the kernel, so every probe, knows: the same
// where we run in the host's pid namespace; elsewhere the kernel is asked.
class PidNamespace {
 public:
  // Throws LoadError where the kernel refuses the program that it takes.
  explicit PidNamespace(const kernel::Facts& facts);
  ~PidNamespace();
  PidNamespace(const PidNamespace&) = delete;
  PidNamespace& operator=(const PidNamespace&) = delete;

  // How deep it is below the host's.
  uint32_t level() const;

  // The kernel's number of each process, 0 when there is none that we see as that.
  std::vector<uint32_t> to_kernel(const std::vector<pid_t>& pids) const;

 private:
  struct State;
  std::unique_ptr<State> state_;  // null on the host
};

}  // namespace epulse::probes
