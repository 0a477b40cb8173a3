#include "server/ws/mask.hpp"

#include <bit>
#include <cstring>

namespace epulse::ws {
namespace {

// The key whose first byte is byte `first` of this one.
constexpr std::uint32_t turned(std::uint32_t key, std::uint64_t first) {
  const int bits = static_cast<int>(8 * first);
  return std::endian::native == std::endian::little ? std::rotr(key, bits) : std::rotl(key, bits);
}

// Masks the first word of `data`; what follows it.
template <typename Word>
std::span<std::uint8_t> mask_word(std::span<std::uint8_t> data, Word key) {
  Word word = 0;
  std::memcpy(&word, data.data(), sizeof word);  // A payload has no alignment.
  word ^= key;
  std::memcpy(data.data(), &word, sizeof word);
  return data.subspan(sizeof word);
}

}  // namespace

void apply_mask(std::span<std::uint8_t> data, MaskKey key, std::uint64_t offset) {
  const std::uint32_t half_key = turned(std::bit_cast<std::uint32_t>(key), offset % key.size());
  const std::uint64_t word_key = std::uint64_t{half_key} << 32U | half_key;
  while (data.size() >= sizeof word_key) data = mask_word(data, word_key);
  if (data.size() >= sizeof half_key) data = mask_word(data, half_key);
  const auto bytes = std::bit_cast<MaskKey>(half_key);
  for (std::size_t i = 0; i < data.size(); ++i) {
    data[i] = static_cast<std::uint8_t>(data[i] ^ bytes[i]);
  }
}

}  // namespace epulse::ws
