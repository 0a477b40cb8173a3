#pragma once

#include <cstdint>
#include <optional>
#include <string>

// How the probes keep to a budget: where everything at once costs more, what is not needed for
// counting is measured in one interval of several. Pure.
namespace epulse::model {

// What the probes' programs cost while all of them ran; shares of one CPU.
struct ProbeCost {
  double counting = 0;  // waits, events, batches: never left out
  double detail = 0;    // queue depth, the stages, blame
  double total() const { return counting + detail; }
  bool operator==(const ProbeCost&) const = default;
};

class OverheadBudget {
 public:
  // What the interval that begins shall be.
  struct Interval {
    bool detail = true;
    bool measured = true;  // costs a little itself, so not always
    bool operator==(const Interval&) const = default;
  };

  // `cost` is that of the interval that ended, where it was measured, in detail; `budget` a share
  // of one CPU, 0: no limit.
  Interval next(const std::optional<ProbeCost>& cost, double budget);

  // All detail in one interval of so many; 1: in all.
  unsigned detail_one_in() const { return detail_one_in_; }

 private:
  unsigned detail_one_in_ = 1;
  unsigned until_detail_ = 0;    // intervals
  unsigned until_measured_ = 0;  // intervals
};

// What reports say.
struct Overhead {
  double budget = 0;              // share of one CPU, all targets together; 0: no limit
  std::optional<ProbeCost> cost;  // absent: not measured yet, or not at all
  unsigned detail_one_in = 1;
  std::string unmeasured;  // why the kernel does not tell; empty when it does
  std::string no_detail;   // why there is none although it is wanted; empty when there is
};

// "0.43 % of a CPU, budget 1 %", and what is left out when they cost more; empty when
// nothing is known.
std::string text_of(const Overhead& overhead);

}  // namespace epulse::model
