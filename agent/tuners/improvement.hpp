#pragma once

#include <string>

#include "agent/model/histogram.hpp"

// Whether a change has helped: the goal metric's whole distribution before and after.
namespace epulse::tuners {

struct Improvement {
  enum class Kind {
    kProven,
    kAbsent,   // the figure did not fall by enough
    kUnclear,  // it did, but so few values could be chance: go on watching
  };
  Kind kind = Kind::kUnclear;
  std::string text;  // "p99 7100 us before (4000 values), 210 us after (6000)"
};

// The p99 (ns) must fall by the share `wanted`, and the share of values above what is wanted by
// more than chance explains: a one-sided two-proportion z test at 99 %, of at least kValuesMin
// values on each side. It takes values for independent, which those of one burst are not quite:
// hence 99 %.
constexpr uint64_t kValuesMin = 100;
Improvement compare_p99(const model::Histogram& before, const model::Histogram& after,
                        double wanted);

}  // namespace epulse::tuners
