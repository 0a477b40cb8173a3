#pragma once

#include <memory>
#include <string>

#include "agent/probes/epoll_probe.hpp"
#include "agent/probes/plan.hpp"

namespace epulse::probes {

struct Attached {
  Plan plan;
  std::unique_ptr<EpollProbe> probe;  // null: there is /proc alone (plan.why)
};

// Detects, plans, and attaches the best backend that this kernel takes: one that it refuses at load
// is left out of the next plan. `wanted` is "auto" or the name of one backend. Throws Error for any
// other name, and when a BPF backend that was asked for by name cannot run.
Attached attach(const EpollProbeOptions& options, const std::string& wanted,
                const EpollProbe::WaitHandler& on_wait);

}  // namespace epulse::probes
