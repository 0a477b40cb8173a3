#include "tools/load/delivery_order.hpp"

#include <algorithm>

namespace epulse::load {

DeliveryOrder::Arrival DeliveryOrder::take(std::uint64_t sequence) {
  if (sequence >= next_) {
    const std::uint64_t skipped = sequence - next_;
    next_ = std::max(next_, sequence - std::min(sequence, kRemembered));
    for (; next_ < sequence; ++next_) skipped_.push_back(next_);
    ++next_;
    if (skipped_.size() > kRemembered) {
      skipped_.erase(skipped_.begin(), skipped_.end() - static_cast<std::ptrdiff_t>(kRemembered));
    }
    return {Turn::kNew, skipped};
  }
  const auto late = std::lower_bound(skipped_.begin(), skipped_.end(), sequence);
  if (late == skipped_.end() || *late != sequence) return {Turn::kRepeated};
  skipped_.erase(late);
  return {Turn::kLate};
}

}  // namespace epulse::load
