#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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
  // "p99 7100 us before (4000 values), 210 us after (6000); that is no chance", or why it is not
  // proven.
  std::string text;
};

// How much longer than its time a change is watched where it is kUnclear; then it is undone.
constexpr uint64_t kPatience = 4;

// The p99 (ns) must fall by the share `wanted`, and the share of values above what is wanted by
// more than chance explains: a one-sided two-proportion z test at 99 %, of at least kValuesMin
// values on each side. It takes values for independent, which those of one burst are not quite:
// hence 99 %.
constexpr uint64_t kValuesMin = 100;
Improvement compare_p99(const model::Histogram& before, const model::Histogram& after,
                        double wanted);

// Of so many values so many were bad.
struct Tally {
  uint64_t bad = 0;
  uint64_t all = 0;
};

// The share of bad values must fall by the share `wanted` of itself, likewise beyond chance; of at
// least kTallyMin values before. `what` names them: "full".
constexpr uint64_t kTallyMin = 10;
Improvement compare_share(const Tally& before, const Tally& after, double wanted,
                          std::string_view what);

// The median (bytes per second) must rise by the share `wanted`, likewise beyond chance.
Improvement compare_rate(const model::Histogram& before, const model::Histogram& after,
                         double wanted);

}  // namespace epulse::tuners
