#include "tools/load/rate_search.hpp"

#include <algorithm>
#include <cmath>

namespace epulse::load {
namespace {

constexpr int kFailuresThatCount = 2;
constexpr double kStride = 2;  // while only one side is known

// To four digits, as people write rates: 1414.2136 becomes 1414.
double rounded(double rate) {
  const double places = 3 - std::floor(std::log10(rate));
  const double factor = std::pow(10, std::abs(places));  // is exact: so is what it divides
  return places > 0 ? std::round(rate * factor) / factor : std::round(rate / factor) * factor;
}

}  // namespace

RateSearch::RateSearch(const SearchBounds& bounds) : bounds_(bounds), next_(bounds.start) {}

void RateSearch::tell(Verdict verdict) {
  if (!next_) return;
  if (verdict == Verdict::kHeld) {
    held_ = next_;
  } else {
    unsound_ = unsound_ || verdict == Verdict::kUnsound;
    if (++failures_ < kFailuresThatCount) return;
    not_held_ = next_;
    generator_bound_ = unsound_;
  }
  failures_ = 0;
  unsound_ = false;
  choose_next();
}

void RateSearch::choose_next() {
  if (!not_held_) {
    next_ = std::min(*held_ * kStride, bounds_.highest);
    if (*held_ >= bounds_.highest) next_.reset();
  } else if (!held_) {
    next_ = std::max(*not_held_ / kStride, bounds_.lowest);
    if (*not_held_ <= bounds_.lowest) next_.reset();
  } else {
    next_ = rounded(std::sqrt(*held_ * *not_held_));
    if (*not_held_ <= *held_ * (1 + bounds_.precision)) next_.reset();
  }
}

}  // namespace epulse::load
