#include "server/ws/mask.hpp"

#include <cstring>

namespace epulse::ws {

void apply_mask(std::span<std::uint8_t> data, MaskKey key, std::uint64_t offset) {
  std::array<std::uint8_t, 8> wide{};
  for (std::size_t i = 0; i < wide.size(); ++i) wide[i] = key[(offset + i) % 4];
  std::uint64_t word_key = 0;
  std::memcpy(&word_key, wide.data(), sizeof word_key);

  std::size_t i = 0;
  for (; i + sizeof word_key <= data.size(); i += sizeof word_key) {
    std::uint64_t word = 0;
    std::memcpy(&word, &data[i], sizeof word);  // A payload has no alignment.
    word ^= word_key;
    std::memcpy(&data[i], &word, sizeof word);
  }
  for (; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(data[i] ^ wide[i % 8]);
}

}  // namespace epulse::ws
