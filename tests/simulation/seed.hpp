#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace epulse::simulation {

// Another one in every run, printed, unless EPULSE_SEED repeats one.
inline uint64_t seed() {
  const char* const given = std::getenv("EPULSE_SEED");
  const uint64_t value =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("EPULSE_SEED=%llu\n", static_cast<unsigned long long>(value));
  return value;
}

}  // namespace epulse::simulation
