#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "agent/model/uring_stats.hpp"
#include "agent/probes/program_cost.hpp"

namespace epulse::probes {

struct UringProbeOptions {
  pid_t tgid = 0;
  // Attach to system calls only once the process has a ring: nothing is paid for one that has none.
  // Whether it has is asked at every read(), so of a ring created in between, the first returns and
  // reaps are missing or late.
  bool wait_for_rings = false;
};

// The io_uring probe on one process: all its rings and threads, those that come later too. Attached
// from construction to destruction. Not thread-safe.
class UringProbe {
 public:
  // Throws LoadError when BPF is refused or the kernel lacks what it takes, with the cause.
  explicit UringProbe(const UringProbeOptions& options);
  ~UringProbe();

  // Has the verifier look at the programs that this kernel's tracepoints want, and drops them.
  // Throws LoadError.
  static void check_load();

  // Cumulative since attach. A thread that has ended is in one more snapshot, then its slot is
  // reused.
  model::UringSnapshot read();

  // Rings of the process that are open now or were since the last clean-up.
  uint64_t rings() const;

  uint64_t attached_ns() const;

  // Of what is loaded, whether attached or not. Zero runs unless the kernel times BPF programs
  // (EpollProbe::measure_cost).
  std::vector<ProgramCost> costs() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace epulse::probes
