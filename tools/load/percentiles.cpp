#include "tools/load/percentiles.hpp"

#include <array>
#include <cmath>

namespace epulse::load {

std::vector<Percentile> percentile_curve(const Distribution& latency) {
  constexpr std::array<double, 6> kTails = {1, 0.75, 0.5, 0.35, 0.25, 0.15};
  std::vector<Percentile> curve;
  const auto total = static_cast<double>(latency.total());
  if (total == 0) return curve;
  for (double unit = 1; unit * total >= 1; unit /= 10) {
    for (const double tail : kTails) {
      if (unit * tail * total < 1) break;
      const double share = std::round((1 - unit * tail) * 1e12) / 1e12;  // 0.9985, not ...99
      curve.push_back({share, latency.quantile_ns(share)});
    }
  }
  curve.push_back({1, latency.max_ns});
  return curve;
}

}  // namespace epulse::load
