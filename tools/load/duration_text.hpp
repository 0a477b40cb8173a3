#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace epulse::load {

// "85 us", "1.23 ms", "4.5 s".
inline std::string duration_text(std::uint64_t ns) {
  const double us = static_cast<double>(ns) / 1e3;
  if (ns < 1'000'000) return fmt::format("{:.0f} us", us);
  if (ns < 1'000'000'000) return fmt::format("{:.3g} ms", us / 1e3);
  return fmt::format("{:.3g} s", us / 1e6);
}

}  // namespace epulse::load
