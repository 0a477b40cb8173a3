#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/report/summary.hpp"

// What is different between two recordings, and whether that is more than chance. Each stretch of
// time (Timeline) is one look at a metric; the looks of one recording are ranked against the
// other's, so that what varies within a recording counts as noise.
namespace epulse::report {

enum class Change { kNone, kBeyondNoise, kTooFewLooks };

struct Difference {
  std::string_view metric;
  bool duration = false;  // ns; else a number
  double before = 0;      // median of the looks
  double after = 0;
  size_t looks_before = 0;
  size_t looks_after = 0;
  double deviations = 0;  // of rank_deviation
  Change change = Change::kNone;
  double ratio() const { return before == 0 ? 0 : after / before; }
};

// In so many looks each the normal approximation holds, and not chance alone but once in a thousand
// comparisons gives such a deviation.
inline constexpr size_t kLooksMin = 8;
inline constexpr double kDeviationsMin = 3.29;
// Two slots of a histogram may lie so far apart for equal values.
inline constexpr double kRatioMin = 1.07;

std::vector<Difference> compare(const Summary& before, const Summary& after);

bool any_moved(const std::vector<Difference>& differences);

// The table and a sentence that says what moved.
void print_differences(const std::vector<Difference>& differences);

}  // namespace epulse::report
