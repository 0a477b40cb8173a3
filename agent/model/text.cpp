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

// Bytes of the character at the start of `text`, which is not empty; 0 when it is no UTF-8 (RFC
// 3629 section 4).
size_t utf8_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Longer than need be, a surrogate, or beyond U+10FFFF.
  const bool wrong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) ||
                     (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f);
  return wrong ? 0 : bytes;
}

// C0, DEL and C1: what a terminal obeys.
bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 2)
    return first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
  return first < 0x20 || first == 0x7f;
}

// Calls `each` with every character, and with every byte that belongs to none; the second argument
// tells which.
template <typename Each>
void for_each_character(std::string_view text, Each each) {
  while (!text.empty()) {
    const size_t bytes = utf8_bytes(text);
    each(text.substr(0, bytes == 0 ? 1 : bytes), bytes != 0);
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
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
  for_each_character(text, [&](std::string_view character, bool valid) {
    const char c = character[0];
    if (!valid) {
      quoted += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (is_control(character)) {  // of U+0080 to U+009F the last byte is the number
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned char>(character.back()));
    } else {
      quoted += character;
    }
  });
  return quoted + '"';
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
