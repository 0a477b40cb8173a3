#pragma once

#include <vector>

#include "agent/kernel/facts.hpp"
#include "agent/probes/plan.hpp"

namespace epulse::probes {

// What the probes beside the epoll probe can measure on this host: rings, sockets, all instances at
// once. The plan of the epoll probe is a matter of facts; these are asked of the kernel, by loading
// their programs for an instant. Where BPF is refused altogether the reason is that of `epoll`.
std::vector<MetricPlan> survey(const kernel::Facts& facts, const Plan& epoll);

}  // namespace epulse::probes
