#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace epulse::ws {

using MaskKey = std::array<std::uint8_t, 4>;

// Masks or unmasks `data` in place (RFC 6455, 5.3). `offset` is the place of data[0] in the payload
// of its frame, so that a payload may be handled in pieces.
void apply_mask(std::span<std::uint8_t> data, MaskKey key, std::uint64_t offset = 0);

}  // namespace epulse::ws
