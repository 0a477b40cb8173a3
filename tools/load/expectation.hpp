#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tools/load/result.hpp"

namespace epulse::load {

// A threshold that a result is to meet: "p99<2ms", "errors=0", "rate>=50000".
struct Expectation {
  enum class Relation { kLess, kAtMost, kEqual, kAtLeast, kMore };

  std::string text;  // as given
  std::string name;  // pNN, max, mean, rate, received, errors or a kind of error, unsound
  Relation relation = Relation::kEqual;
  double bound = 0;  // durations in ns

  // Whether it is of a latency that is to be short.
  bool bounds_latency() const;
  // The share of the percentile that it is of, 0.99 of "p99"; nothing for others.
  std::optional<double> percentile() const;
  // What the result has under that name.
  double measured(const Result& result) const;
  bool met(const Result& result) const;
  // "3.1 ms", or a plain number.
  std::string measured_text(const Result& result) const;
};

// Nothing when it is none.
std::optional<Expectation> parse_expectation(std::string_view text);

}  // namespace epulse::load
