#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/model/cpu_set.hpp"
#include "agent/model/sched.hpp"
#include "agent/tuners/affinity.hpp"

namespace epulse::daemon {

// Why the affinity tuner proposes nothing: a sentence for each worker that waits too long, those
// that wait longest first, with the figures and what they are held against; else one on the worker
// that waits longest. `interval` is the tuner's last. Pure.
std::vector<std::string> why_no_affinity_advice(const model::SchedInterval& interval,
                                                const model::CpuSet& usable,
                                                const config::AffinityTuner& config,
                                                const tuners::AffinityTuner& tuner,
                                                uint64_t now_ns);

}  // namespace epulse::daemon
