#include "agent/probes/overhead_control.hpp"

#include <algorithm>
#include <numeric>

#include "agent/error.hpp"
#include "agent/kernel/sched_sampler.hpp"

namespace epulse::probes {
namespace {

// In less, a burst would decide.
constexpr uint64_t kIntervalMinNs = 1'000'000'000;
constexpr uint64_t kTimerToleranceNs = 50'000'000;

}  // namespace

OverheadControl::OverheadControl(EpollProbe& probe, double budget, Timing timing)
    : probe_(probe), budget_each_(budget), timing_(timing) {
  start({}, probe.attached_ns());
}

uint64_t OverheadControl::run_ns() const {
  const std::vector<ProgramCost> costs = probe_.costs();
  return std::accumulate(costs.begin(), costs.end(), uint64_t{0},
                         [](uint64_t sum, const ProgramCost& cost) { return sum + cost.run_ns; });
}

void OverheadControl::interval_ends(uint64_t now_ns) {
  if (now_ns - started_ns_ + kTimerToleranceNs < kIntervalMinNs) return;
  const std::optional<double> cost = judge();
  start(budget_.next(cost, overhead_.budget), now_ns);
  overhead_.detail_one_in = budget_.detail_one_in();
}

void OverheadControl::finish() {
  judge();
  interval_.timed = false;
}

// What the programs have cost in the interval that ends, if they were timed.
std::optional<double> OverheadControl::judge() {
  const size_t targets = std::max<size_t>(probe_.targets().size(), 1);
  overhead_.budget = budget_each_ * static_cast<double>(targets);
  if (!interval_.timed) return {};
  const uint64_t span_ns = std::max<uint64_t>(kernel::monotonic_ns() - timed_from_ns_, 1);
  timed_ns_ += span_ns;
  const double cost =
      static_cast<double>(run_ns() - run_ns_at_start_) / static_cast<double>(span_ns);
  (interval_.detail ? overhead_.full_cost : overhead_.least_cost) = cost;
  return cost;
}

void OverheadControl::start(model::OverheadBudget::Interval interval, uint64_t now_ns) {
  interval_ = interval;
  if (timing_ == Timing::kAlways) {
    interval_.timed = true;
  } else if (budget_each_ <= 0 || !overhead_.unmeasured.empty()) {
    interval_.timed = false;
  }
  started_ns_ = now_ns;
  probe_.set_detail(interval_.detail);
  try {
    probe_.measure_cost(interval_.timed);
  } catch (const Error& error) {
    overhead_.unmeasured = error.what();
    interval_.timed = false;
  }
  if (!interval_.timed) return;
  run_ns_at_start_ = run_ns();
  timed_from_ns_ = kernel::monotonic_ns();
}

uint64_t OverheadControl::timed_ns() const {
  return timed_ns_ + (interval_.timed ? kernel::monotonic_ns() - timed_from_ns_ : 0);
}

}  // namespace epulse::probes
