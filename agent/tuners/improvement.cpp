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

// The verdict on a figure that is as good as wanted already, in the text as well.
void judge_by_chance(Improvement& result, double z) {
  const bool proven = z >= kZ;
  result.kind = proven ? Improvement::Kind::kProven : Improvement::Kind::kUnclear;
  result.text += proven ? "; that is no chance" : "; that may be chance";
}

// False, and says so: with that few values nothing can be told.
bool enough(Improvement& result, uint64_t before, uint64_t after,
            uint64_t before_min = kValuesMin) {
  if (before >= before_min && after >= kValuesMin) return true;
  result.text += fmt::format("; {} values are needed before, {} after", before_min, kValuesMin);
  if (after < kValuesMin) {
    result.text +=
        after == 0 ? ", and there was no traffic since" : ", and there is little traffic";
  }
  return false;
}

double megabytes(uint64_t bytes) {
  return static_cast<double>(bytes) / 1e6;
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
  if (!enough(result, before.count(), after.count())) return result;
  if (after_ns > wanted_ns) {
    result.kind = Improvement::Kind::kAbsent;
    result.text += fmt::format("; it needed to fall by {:.0f} %", wanted * 100);
    return result;
  }
  judge_by_chance(result, z_score(above(before, wanted_ns), before.count(), above(after, wanted_ns),
                                  after.count()));
  return result;
}

Improvement compare_share(const Tally& before, const Tally& after, double wanted,
                          std::string_view what) {
  const auto share = [](const Tally& tally) {
    return tally.all == 0 ? 0 : static_cast<double>(tally.bad) / static_cast<double>(tally.all);
  };
  Improvement result;
  result.text = fmt::format("{} in {:.0f} % of {} looks before, in {:.0f} % of {} after", what,
                            share(before) * 100, before.all, share(after) * 100, after.all);
  if (!enough(result, before.all, after.all, kTallyMin)) return result;
  if (share(after) > share(before) * (1 - wanted)) {
    result.kind = Improvement::Kind::kAbsent;
    result.text += fmt::format("; it needed to fall by {:.0f} %", wanted * 100);
    return result;
  }
  judge_by_chance(result, z_score(before.bad, before.all, after.bad, after.all));
  return result;
}

Improvement compare_rate(const model::Histogram& before, const model::Histogram& after,
                         double wanted) {
  Improvement result;
  const uint64_t before_bytes = before.quantile(0.5);
  const uint64_t after_bytes = after.quantile(0.5);
  const auto wanted_bytes = static_cast<uint64_t>(static_cast<double>(before_bytes) * (1 + wanted));
  result.text =
      fmt::format("median {:.2f} MB/s before ({} values), {:.2f} MB/s after ({})",
                  megabytes(before_bytes), before.count(), megabytes(after_bytes), after.count());
  if (!enough(result, before.count(), after.count())) return result;
  // From nothing to nothing is no rise.
  if (after_bytes < wanted_bytes || after_bytes == 0) {
    result.kind = Improvement::Kind::kAbsent;
    result.text += fmt::format("; it needed to rise by {:.0f} %", wanted * 100);
    return result;
  }
  judge_by_chance(result, z_score(above(after, wanted_bytes), after.count(),
                                  above(before, wanted_bytes), before.count()));
  return result;
}

}  // namespace epulse::tuners
