#include "agent/model/overhead_budget.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace epulse::model {
namespace {

constexpr unsigned kTimedOneIn = 30;
constexpr unsigned kDetailOneInMax = 60;

// So that the mean keeps to the budget, as far as that is possible.
unsigned intervals_for(double full, double least, double budget) {
  if (least >= budget) return kDetailOneInMax;
  return static_cast<unsigned>(
      std::clamp<double>(std::ceil((full - least) / (budget - least)), 1, kDetailOneInMax));
}

}  // namespace

OverheadBudget::Interval OverheadBudget::next(std::optional<double> cost, double budget) {
  if (!interval_.timed) cost.reset();  // not asked for
  if (cost && interval_.detail) {
    full_cost_ = *cost;
    until_timed_ = kTimedOneIn;
    // What it costs without detail is seen next.
    if (budget > 0 && *cost > budget) return interval_ = {false, true};
    detail_one_in_ = 1;
    until_detail_ = 0;
  } else if (cost) {
    detail_one_in_ = intervals_for(full_cost_, *cost, budget);
    until_detail_ = detail_one_in_ - std::min(detail_one_in_, 2U);  // this was one without
  }
  if (until_timed_ > 0) --until_timed_;
  if (until_detail_ > 0) {
    --until_detail_;
    return interval_ = {false, false};
  }
  until_detail_ = detail_one_in_ - 1;
  return interval_ = {true, until_timed_ == 0};
}

std::string text_of(const Overhead& overhead) {
  if (!overhead.unmeasured.empty()) {
    return "cost unknown, so no budget is kept: " + overhead.unmeasured;
  }
  if (!overhead.full_cost) return {};
  std::string text = fmt::format("{:.2f} % of a CPU", 100 * *overhead.full_cost);
  if (overhead.budget <= 0) return text + ", no budget";
  text += fmt::format(", budget {:.3g} %", 100 * overhead.budget);
  if (overhead.detail_one_in == 1) return text;
  text += fmt::format(
      ": over, so queue depth, stages and blame are measured in one interval of {}; waits, events "
      "and batches are counted in all",
      overhead.detail_one_in);
  if (overhead.least_cost) text += fmt::format(", for {:.2f} %", 100 * *overhead.least_cost);
  return text;
}

}  // namespace epulse::model
