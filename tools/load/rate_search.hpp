#pragma once

#include <cstdint>
#include <optional>

namespace epulse::load {

// What a probe of a rate has shown.
enum class Verdict : std::uint8_t {
  kHeld,
  kMissed,   // the target, or there were errors
  kUnsound,  // the generator's own fault: says nothing of the server, and does not count as held
};

struct SearchBounds {
  double start = 1000;  // the first rate
  double lowest = 10;
  double highest = 1'000'000;
  double precision = 0.05;  // of the result: the next rate that does not hold is no further above
};

// Looks for the highest rate that holds. Doubles, or halves, until one rate has held and another
// has not, then tries the geometric mean of the two. A rate has not held when it has failed twice
// in a row: a noisy machine can make any one probe fail, and hardly makes one hold.
class RateSearch {
 public:
  explicit RateSearch(const SearchBounds& bounds);

  // What to probe; nothing when there is no more to be found out.
  std::optional<double> next() const { return next_; }
  // The verdict on that.
  void tell(Verdict verdict);

  // The highest that has held, the lowest that has not; nothing when there is none.
  std::optional<double> held() const { return held_; }
  std::optional<double> not_held() const { return not_held_; }
  // Whether a probe of that lowest was unsound: the limit may be the generator's.
  bool generator_bound() const { return generator_bound_; }

 private:
  void choose_next();

  SearchBounds bounds_;
  std::optional<double> next_;
  std::optional<double> held_;
  std::optional<double> not_held_;
  int failures_ = 0;      // of the rate that is probed
  bool unsound_ = false;  // one of these was
  bool generator_bound_ = false;
};

}  // namespace epulse::load
