#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace epulse::load {

// What stands between the quotes of a JSON string (RFC 8259, 7).
inline std::string json_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20U) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace epulse::load
