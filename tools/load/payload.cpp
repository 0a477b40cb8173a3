#include "tools/load/payload.hpp"

#include "tools/load/payload_words.hpp"

namespace epulse::load {

void fill_payload(std::span<std::uint8_t> payload, std::uint32_t connection, std::uint64_t sequence,
                  bool compressible) {
  put_words(payload, PayloadWords(connection, sequence, compressible), 0);
}

bool is_payload(std::span<const std::uint8_t> payload, std::uint32_t connection,
                std::uint64_t sequence, bool compressible) {
  return has_words(payload, PayloadWords(connection, sequence, compressible));
}

}  // namespace epulse::load
