#include "agent/probes/overhead_control.hpp"

#include <algorithm>

#include "agent/error.hpp"

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
  const uint64_t elapsed_ns = now_ns - started_ns_;
  if (elapsed_ns + kTimerToleranceNs < kIntervalMinNs) return;
  const size_t targets = std::max<size_t>(probe_.targets().size(), 1);
  overhead_.budget = budget_each_ * static_cast<double>(targets);
  std::optional<model::ProbeCost> full_cost;
  if (interval_.measured) {
    const RunTime now = run_time();
    const auto share = [&](uint64_t from_ns, uint64_t to_ns) {
      return static_cast<double>(to_ns - from_ns) / static_cast<double>(elapsed_ns);
    };
    timed_ns_ += elapsed_ns;
    if (interval_.detail) {
      full_cost = {share(at_start_.counting_ns, now.counting_ns),
                   share(at_start_.detail_ns, now.detail_ns)};
      overhead_.cost = full_cost;
    }
  }
  start(budget_.next(full_cost, overhead_.budget), now_ns);
  overhead_.detail_one_in = budget_.detail_one_in();
}

void OverheadControl::start(model::OverheadBudget::Interval interval, uint64_t now_ns) {
  interval_ = interval;
  if (timing_ == Timing::kAlways) interval_.measured = true;
  if (timing_ == Timing::kAsNeeded && budget_each_ <= 0) interval_.measured = false;
  if (!overhead_.unmeasured.empty()) interval_.measured = false;
  probe_.set_detail(interval_.detail);
  try {
    probe_.measure_cost(interval_.measured);
  } catch (const Error& error) {
    overhead_.unmeasured = error.what();
    interval_.measured = false;
  }
  started_ns_ = now_ns;
  if (interval_.measured) at_start_ = run_time();
}

}  // namespace epulse::probes
