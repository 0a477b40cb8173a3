#pragma once

#include <time.h>

#include <cstdint>

namespace epulse::load {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

inline std::uint64_t clock_ns(clockid_t clock = CLOCK_MONOTONIC) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kSecondNs +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// CLOCK_REALTIME less CLOCK_MONOTONIC, now: whoever sets the time of day changes it.
inline std::int64_t realtime_offset_ns() {
  return static_cast<std::int64_t>(clock_ns(CLOCK_REALTIME) - clock_ns());
}

}  // namespace epulse::load
