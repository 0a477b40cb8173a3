#include "agent/model/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace epulse::model {
namespace {

std::string three_digits(double value) {
  if (value < 9.995) return fmt::format("{:.2f}", value);
  if (value < 99.95) return fmt::format("{:.1f}", value);
  return fmt::format("{:.0f}", value);
}

// How long the character at the beginning is; 0 when it is none, or a control character.
size_t printable_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  uint32_t code = first & (0xffU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3fU);
  }
  // C1 controls, overlong forms, surrogates, what is beyond Unicode.
  const uint32_t least = length == 2 ? 0xa0 : length == 3 ? 0x800 : 0x10000;
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < least || surrogate || code > 0x10ffff ? 0 : length;
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

std::string printable_text(std::string_view text) {
  std::string printable;
  while (!text.empty()) {
    const size_t length = printable_length(text);
    printable += length == 0 ? "?" : text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return printable;
}

}  // namespace epulse::model
