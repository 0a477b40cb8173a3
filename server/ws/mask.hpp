#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace epulse::ws {

using MaskKey = std::array<std::uint8_t, 4>;

// Masks or unmasks `data` in place (RFC 6455, 5.3). `offset` is the place of data[0] in the payload
// of its frame, so that a payload may be handled in pieces.
void apply_mask(std::span<std::uint8_t> data, MaskKey key, std::uint64_t offset = 0);

// The key whose first byte is byte `first` of this one.
constexpr std::uint32_t turned(std::uint32_t key, std::uint64_t first) {
  const int bits = static_cast<int>(8 * (first % sizeof key));
  return std::endian::native == std::endian::little ? std::rotr(key, bits) : std::rotl(key, bits);
}

// Masks at least one word of bytes. The last word overlaps the one before it, and so is read before
// anything is written.
template <typename Word>
void mask_words(const std::uint8_t* from, std::uint8_t* to, std::size_t bytes, Word key,
                Word last_key) {
  Word last;
  std::memcpy(&last, from + bytes - sizeof last, sizeof last);  // A payload has no alignment.
  for (std::size_t i = 0; i + sizeof(Word) < bytes; i += sizeof(Word)) {
    Word word;
    std::memcpy(&word, from + i, sizeof word);
    word ^= key;
    std::memcpy(to + i, &word, sizeof word);
  }
  last ^= last_key;
  std::memcpy(to + bytes - sizeof last, &last, sizeof last);
}

// For short payloads, to which the ways to wide vectors and back cost more. `to` is where `from`
// is, or apart from it; a key of 0 copies.
inline void mask_short(const std::uint8_t* from, std::uint8_t* to, std::size_t bytes,
                       std::uint32_t key) {
  using Vector [[gnu::vector_size(16)]] = std::uint32_t;
  const std::uint32_t last = turned(key, bytes);
  if (bytes >= sizeof(Vector)) {
    return mask_words(from, to, bytes, Vector{key, key, key, key}, Vector{last, last, last, last});
  }
  if (bytes >= 8) {
    const auto twice = [](std::uint32_t half) { return std::uint64_t{half} << 32U | half; };
    return mask_words(from, to, bytes, twice(key), twice(last));
  }
  if (bytes >= sizeof key) return mask_words(from, to, bytes, key, last);
  const auto of_key = std::bit_cast<MaskKey>(key);
  for (std::size_t i = 0; i < bytes; ++i) to[i] = static_cast<std::uint8_t>(from[i] ^ of_key[i]);
}

}  // namespace epulse::ws
