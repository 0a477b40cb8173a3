#include "agent/model/text.hpp"

#include <fmt/format.h>

namespace epulse::model {
namespace {

std::string three_digits(double value) {
  if (value < 9.995) return fmt::format("{:.2f}", value);
  if (value < 99.95) return fmt::format("{:.1f}", value);
  return fmt::format("{:.0f}", value);
}

}  // namespace

std::string duration_text(uint64_t ns) {
  if (ns < 1000) return fmt::format("{}ns", ns);
  double value = static_cast<double>(ns) / 1000;
  for (const char* unit : {"us", "ms"}) {
    if (value < 999.5) return three_digits(value) + unit;
    value /= 1000;
  }
  return three_digits(value) + "s";
}

std::string count_text(double value) {
  if (value < 999.5) {
    const bool whole = value == static_cast<double>(static_cast<uint64_t>(value));
    return whole ? fmt::format("{:.0f}", value) : three_digits(value);
  }
  value /= 1000;
  for (const char* unit : {"k", "M"}) {
    if (value < 999.5) return three_digits(value) + unit;
    value /= 1000;
  }
  return three_digits(value) + "G";
}

std::string json_text(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace epulse::model
