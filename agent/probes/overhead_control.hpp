#pragma once

#include <cstdint>

#include "agent/model/overhead_budget.hpp"
#include "agent/probes/epoll_probe.hpp"

namespace epulse::probes {

// Keeps an epoll probe within its budget: has the kernel time its programs now and then, and leaves
// the detail out of some intervals where they cost more.
class OverheadControl {
 public:
  enum class Timing { kAsNeeded, kAlways };

  // `budget`: of each target process, a share of one CPU; 0: no limit.
  OverheadControl(EpollProbe& probe, double budget, Timing timing = Timing::kAsNeeded);

  // The caller has just read the probe: from here on the next interval runs. Intervals shorter than
  // a second are taken together.
  void interval_ends(uint64_t now_ns);
  // There is no next one.
  void finish();

  // As last measured.
  const model::Overhead& overhead() const { return overhead_; }
  // How long the programs have been timed, up to now.
  uint64_t timed_ns() const;

 private:
  uint64_t run_ns() const;
  std::optional<double> judge();
  void start(model::OverheadBudget::Interval interval, uint64_t now_ns);

  EpollProbe& probe_;
  double budget_each_;
  Timing timing_;
  model::OverheadBudget budget_;
  model::Overhead overhead_;
  // The interval that runs.
  model::OverheadBudget::Interval interval_;
  uint64_t started_ns_ = 0;
  uint64_t timed_from_ns_ = 0;  // later: to have programs timed takes a while
  uint64_t run_ns_at_start_ = 0;
  uint64_t timed_ns_ = 0;  // in earlier intervals
};

}  // namespace epulse::probes
