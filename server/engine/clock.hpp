#pragma once

#include <time.h>

#include <cstdint>

namespace epulse::server {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

// CLOCK_MONOTONIC.
inline std::uint64_t clock_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kSecondNs +
         static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace epulse::server
