#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

namespace epulse::ws {

using MaskKey = std::array<std::uint8_t, 4>;

// Masks or unmasks `data` in place (RFC 6455, 5.3). `offset` is the place of data[0] in the payload
// of its frame, so that a payload may be handled in pieces.
void apply_mask(std::span<std::uint8_t> data, MaskKey key, std::uint64_t offset = 0);

// Masks the first word of `data`; what follows it.
template <typename Word>
std::span<std::uint8_t> mask_word(std::span<std::uint8_t> data, Word key) {
  Word word = 0;
  std::memcpy(&word, data.data(), sizeof word);  // A payload has no alignment.
  word ^= key;
  std::memcpy(data.data(), &word, sizeof word);
  return data.subspan(sizeof word);
}

// Word by word: for short payloads, to which the ways to vectors and back cost more.
inline void apply_mask_by_words(std::span<std::uint8_t> data, std::uint32_t half_key) {
  const std::uint64_t key = std::uint64_t{half_key} << 32U | half_key;
  while (data.size() >= sizeof key) data = mask_word(data, key);
  if (data.size() >= sizeof half_key) data = mask_word(data, half_key);
  const auto bytes = std::bit_cast<MaskKey>(half_key);
  for (std::size_t i = 0; i < data.size(); ++i) {
    data[i] = static_cast<std::uint8_t>(data[i] ^ bytes[i]);
  }
}

}  // namespace epulse::ws
