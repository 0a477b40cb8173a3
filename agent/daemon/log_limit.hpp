#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace epulse::daemon {

// Lets through so many messages of a kind in a period, and counts the others. Pure.
class LogLimit {
 public:
  LogLimit(size_t max, uint64_t period_ns) : max_(max), period_ns_(period_ns) {}

  bool allows(uint64_t now_ns) {
    if (now_ns - since_ns_ >= period_ns_) {
      since_ns_ = now_ns;
      said_ = 0;
    }
    if (said_ < max_) {
      ++said_;
      return true;
    }
    ++left_out_;
    return false;
  }

  // Since it was last asked.
  uint64_t take_left_out() { return std::exchange(left_out_, 0); }

 private:
  size_t max_;
  uint64_t period_ns_;
  uint64_t since_ns_ = 0;
  size_t said_ = 0;
  uint64_t left_out_ = 0;
};

}  // namespace epulse::daemon
