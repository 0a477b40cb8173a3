#include "agent/tuners/improvement.hpp"

#include <fmt/format.h>

#include <cmath>

namespace epulse::tuners {
namespace {

constexpr double kZ = 2.326;  // 99 %, one-sided

// Values in slots that lie wholly above `limit`.
uint64_t above(const model::Histogram& histogram, uint64_t limit) {
  uint64_t sum = 0;
  for (uint32_t slot = 0; slot < histogram.slots().size(); ++slot) {
    if (histogram.shape().low(slot) > limit) sum += histogram.slots()[slot];
  }
  return sum;
}

// Of the difference between two shares, k1 of n1 and k2 of n2; 0 when there is none to speak of.
double z_score(uint64_t k1, uint64_t n1, uint64_t k2, uint64_t n2) {
  const auto a = static_cast<double>(n1);
  const auto b = static_cast<double>(n2);
  const double pooled = static_cast<double>(k1 + k2) / (a + b);
  const double error = std::sqrt(pooled * (1 - pooled) * (1 / a + 1 / b));
  if (!(error > 0)) return 0;
  return (static_cast<double>(k1) / a - static_cast<double>(k2) / b) / error;
}

}  // namespace

Improvement compare_p99(const model::Histogram& before, const model::Histogram& after,
                        double wanted) {
  Improvement result;
  const uint64_t before_ns = before.quantile(0.99);
  const uint64_t after_ns = after.quantile(0.99);
  const auto wanted_ns = static_cast<uint64_t>(static_cast<double>(before_ns) * (1 - wanted));
  result.text = fmt::format("p99 {} us before ({} values), {} us after ({})", before_ns / 1000,
                            before.count(), after_ns / 1000, after.count());
  if (before.count() < kValuesMin || after.count() < kValuesMin) return result;
  if (after_ns > wanted_ns) {
    result.kind = Improvement::Kind::kAbsent;
    return result;
  }
  const double z =
      z_score(above(before, wanted_ns), before.count(), above(after, wanted_ns), after.count());
  if (z >= kZ) result.kind = Improvement::Kind::kProven;
  return result;
}

}  // namespace epulse::tuners
