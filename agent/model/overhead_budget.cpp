#include "agent/model/overhead_budget.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace epulse::model {
namespace {

constexpr unsigned kMeasuredOneIn = 10;
constexpr unsigned kDetailOneInMax = 60;

unsigned intervals_for(const ProbeCost& cost, double budget) {
  if (budget <= 0) return 1;
  const double room = budget - cost.counting;
  if (cost.detail <= room) return 1;
  if (room <= 0) return kDetailOneInMax;
  return static_cast<unsigned>(
      std::clamp<double>(std::ceil(cost.detail / room), 2, kDetailOneInMax));
}

}  // namespace

OverheadBudget::Interval OverheadBudget::next(const std::optional<ProbeCost>& cost, double budget) {
  if (cost) {
    detail_one_in_ = intervals_for(*cost, budget);
    until_detail_ = detail_one_in_ - 1;
    until_measured_ = detail_one_in_ > 1 ? 0 : kMeasuredOneIn - 1;
  }
  if (until_detail_ > 0) {
    --until_detail_;
    return {false, false};
  }
  // What is over the budget is measured whenever it runs, so that it is back once it costs less.
  if (until_measured_ == 0) return {true, true};
  --until_measured_;
  return {true, false};
}

std::string text_of(const Overhead& overhead) {
  if (!overhead.no_detail.empty()) {
    return "waits, events and batches are counted, and nothing else measured: " +
           overhead.no_detail;
  }
  if (!overhead.unmeasured.empty()) {
    return "cost unknown, so no budget is kept: " + overhead.unmeasured;
  }
  if (!overhead.cost) return {};
  const ProbeCost& cost = *overhead.cost;
  std::string text = fmt::format("{:.2f} % of a CPU", 100 * cost.total());
  if (overhead.budget <= 0) return text + ", no budget";
  text += fmt::format(", budget {:.3g} %", 100 * overhead.budget);
  if (overhead.detail_one_in == 1) return text;
  text += fmt::format(
      ": over, so queue depth, stages and blame are measured in one interval of {}; waits, events "
      "and batches are counted in all",
      overhead.detail_one_in);
  if (cost.counting >= overhead.budget) {
    text += fmt::format(", which alone costs {:.2f} %", 100 * cost.counting);
  }
  return text;
}

}  // namespace epulse::model
