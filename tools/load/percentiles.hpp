#pragma once

#include <cstdint>
#include <vector>

#include "tools/load/distribution.hpp"

namespace epulse::load {

struct Percentile {
  double share = 0;  // of all that do not exceed
  std::uint64_t ns = 0;
};

// As many as a curve takes whose axis gives every nine the same room: six for each tenth part of
// what is above, down to a single one; the last is the largest. None of nothing.
std::vector<Percentile> percentile_curve(const Distribution& latency);

}  // namespace epulse::load
