#pragma once

#include <cstdint>
#include <optional>
#include <string>

// How the probes keep to a budget: where everything at once costs more, what is not needed for
// counting is measured in one interval of several. Pure.
namespace epulse::model {

class OverheadBudget {
 public:
  // What an interval shall be.
  struct Interval {
    bool detail = true;  // queue depth, stages, blame; waits, events and batches are always counted
    bool timed = true;   // to begin and end it disturbs the host, so seldom
    bool operator==(const Interval&) const = default;
  };

  // The first interval is the default one. `cost`: what the programs cost in the one that ended, if
  // it was timed; `budget`; both shares of one CPU, 0 for no limit. Returns what the next shall be.
  Interval next(std::optional<double> cost, double budget);

  // All detail in one interval of so many; 1: in all.
  unsigned detail_one_in() const { return detail_one_in_; }

 private:
  Interval interval_;
  double full_cost_ = 0;  // with all detail
  unsigned detail_one_in_ = 1;
  unsigned until_detail_ = 0;  // intervals
  unsigned until_timed_ = 0;   // intervals
};

// What reports say.
struct Overhead {
  double budget = 0;                 // share of one CPU, all targets together; 0: no limit
  std::optional<double> full_cost;   // with all detail; absent: not measured yet, or not at all
  std::optional<double> least_cost;  // counting alone, where that was necessary
  unsigned detail_one_in = 1;
  std::string unmeasured;  // why the kernel does not tell; empty when it does
};

// "0.43 % of a CPU, budget 1 %", and what is left out when they cost more; empty when
// nothing is known.
std::string text_of(const Overhead& overhead);

}  // namespace epulse::model
