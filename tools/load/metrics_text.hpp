#pragma once

#include <string>
#include <vector>

#include "tools/load/result.hpp"

namespace epulse::load {

// The state of a run as Prometheus reads it (text format 0.0.4). `threads`: what the scheduler has
// given each so far; empty: not known.
std::string metrics_text(const Totals& totals, const std::vector<SchedulerTimes>& threads);

}  // namespace epulse::load
