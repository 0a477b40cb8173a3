#include "agent/probes/overhead_control.hpp"

#include <algorithm>

#include "agent/error.hpp"
#include "agent/kernel/sched_sampler.hpp"

namespace epulse::probes {
namespace {

// In less, a burst would decide, and attaching would cost more than the programs.
constexpr uint64_t kIntervalMinNs = 1'000'000'000;
constexpr uint64_t kTimerToleranceNs = 50'000'000;

}  // namespace

OverheadControl::OverheadControl(EpollProbe& probe, double budget, Timing timing)
    : probe_(probe), budget_each_(budget), timing_(timing) {
  start(budget_.next({}, budget_each_), probe.attached_ns());
}

OverheadControl::RunTime OverheadControl::run_time() const {
  RunTime sum;
  for (const ProgramCost& cost : probe_.costs()) {
    (cost.is_detail ? sum.detail_ns : sum.counting_ns) += cost.run_ns;
  }
  return sum;
}

void OverheadControl::interval_ends(uint64_t now_ns) {
  if (now_ns - started_ns_ + kTimerToleranceNs < kIntervalMinNs) return;
  const std::optional<model::ProbeCost> full_cost = judge();
  start(budget_.next(full_cost, overhead_.budget), now_ns);
  overhead_.detail_one_in = budget_.detail_one_in();
}

void OverheadControl::finish() {
  judge();
  interval_.measured = false;
}

// What everything costs, if the interval that ends has shown it.
std::optional<model::ProbeCost> OverheadControl::judge() {
  const size_t targets = std::max<size_t>(probe_.targets().size(), 1);
  overhead_.budget = budget_each_ * static_cast<double>(targets);
  if (!interval_.measured) return {};
  const RunTime now = run_time();
  const uint64_t span_ns = std::max<uint64_t>(kernel::monotonic_ns() - timed_from_ns_, 1);
  timed_ns_ += span_ns;
  if (!interval_.detail) return {};
  const auto share = [&](uint64_t from_ns, uint64_t to_ns) {
    return static_cast<double>(to_ns - from_ns) / static_cast<double>(span_ns);
  };
  overhead_.cost = {share(at_start_.counting_ns, now.counting_ns),
                    share(at_start_.detail_ns, now.detail_ns)};
  return overhead_.cost;
}

void OverheadControl::start(model::OverheadBudget::Interval interval, uint64_t now_ns) {
  interval_ = interval;
  if (timing_ == Timing::kAlways) interval_.measured = true;
  if (timing_ == Timing::kAsNeeded && budget_each_ <= 0) interval_.measured = false;
  if (!overhead_.unmeasured.empty()) interval_.measured = false;
  started_ns_ = now_ns;
  try {
    probe_.set_detail(interval_.detail);
    overhead_.no_detail.clear();
  } catch (const Error& error) {  // what is counted still is
    overhead_.no_detail = error.what();
    interval_.detail = false;
  }
  try {
    probe_.measure_cost(interval_.measured);
  } catch (const Error& error) {
    overhead_.unmeasured = error.what();
    interval_.measured = false;
  }
  if (!interval_.measured) return;
  at_start_ = run_time();
  timed_from_ns_ = kernel::monotonic_ns();
}

uint64_t OverheadControl::timed_ns() const {
  return timed_ns_ + (interval_.measured ? kernel::monotonic_ns() - timed_from_ns_ : 0);
}

}  // namespace epulse::probes
