#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace epulse::ws {

// How many bytes at the front of `bytes`, which begin with a character, are right UTF-8 (RFC 3629)
// and end with a character: by vectors where the processor has AVX2, up to ASCII by words
// elsewhere. What follows may be right, too; whoever asks goes on by bytes.
std::size_t right_bytes(std::span<const std::uint8_t> bytes);

}  // namespace epulse::ws
