#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "agent/export/record_format.hpp"
#include "agent/model/uring_stats.hpp"
#include "agent/probes/epoll_probe.hpp"
#include "agent/probes/uring_probe.hpp"

namespace epulse::cli {

// The rings of a process beside its epolls: now, or once it has one.
class RingStat {
 public:
  // Where the probe is refused there are no figures, and a message says so if the process has
  // rings.
  explicit RingStat(pid_t pid);

  // Ends an interval.
  void sample(record::ThreadNames& names);
  // The interval that ended last, and the whole run.
  const model::UringSnapshot& interval() const { return interval_; }
  const model::UringSnapshot& total() const { return total_.total(); }
  void add_costs(std::vector<probes::ProgramCost>& costs) const;

 private:
  pid_t pid_;
  std::optional<probes::UringProbe> probe_;
  std::optional<model::UringIntervals> intervals_;
  model::UringSnapshot interval_;
  model::UringTotal total_;
};

}  // namespace epulse::cli
