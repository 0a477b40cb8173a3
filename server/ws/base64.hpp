#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace epulse::ws {

constexpr std::size_t base64_size(std::size_t bytes) {
  return (bytes + 2) / 3 * 4;
}

constexpr std::string_view kBase64Alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// RFC 4648, section 4.
template <std::size_t kBytes>
std::array<char, base64_size(kBytes)> base64(const std::array<std::uint8_t, kBytes>& bytes) {
  std::array<char, base64_size(kBytes)> text{};
  std::size_t out = 0;
  for (std::size_t i = 0; i < kBytes; i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8U | (i + k < kBytes ? bytes[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k) {
      const bool padding = i + k > kBytes;
      text[out++] = padding ? '=' : kBase64Alphabet[group >> (18 - 6 * k) & 63U];
    }
  }
  return text;
}

}  // namespace epulse::ws
