#pragma once

#include <cstdint>
#include <span>

namespace epulse::load {

// Fills a message with what only message `sequence` of connection `connection` holds: its number,
// then a pattern made from both. Short messages hold as much of it as fits. The pattern looks
// random; with `compressible` it is letters, of which half and more could be saved.
void fill_payload(std::span<std::uint8_t> payload, std::uint32_t connection, std::uint64_t sequence,
                  bool compressible = false);

bool is_payload(std::span<const std::uint8_t> payload, std::uint32_t connection,
                std::uint64_t sequence, bool compressible = false);

}  // namespace epulse::load
