#include "agent/model/text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/utf8.hpp"

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

std::string printable(std::string_view text) {
  std::string shown;
  for_each_character(text, [&](std::string_view character, bool valid) {
    if (valid && !is_control(character)) {
      shown += character;
      return;
    }
    for (const char c : character) {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  });
  return shown;
}

size_t text_width(std::string_view text) {
  size_t columns = 0;
  for_each_character(text, [&](std::string_view, bool) { ++columns; });
  return columns;
}

std::string_view text_start(std::string_view text, size_t columns) {
  size_t bytes = 0;
  size_t taken = 0;
  for_each_character(text, [&](std::string_view character, bool) {
    if (taken++ < columns) bytes += character.size();
  });
  return text.substr(0, bytes);
}

}  // namespace epulse::model
