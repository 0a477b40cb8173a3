#pragma once

#include <string>

#include "agent/config/config.hpp"
#include "agent/model/cpu_set.hpp"
#include "agent/model/sched.hpp"

namespace epulse::daemon {

// Why the affinity tuner proposes nothing, of the worker that is kept waiting most: a sentence with
// its figures and the limits that they are held against. Pure.
std::string why_no_affinity_advice(const model::SchedInterval& interval,
                                   const model::CpuSet& usable,
                                   const config::AffinityTuner& config);

}  // namespace epulse::daemon
