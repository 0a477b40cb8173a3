#pragma once

#include <cstdint>
#include <string_view>

namespace epulse::actuate {

// CRC-32 as in IEEE 802.3 and zlib: finds every single-bit error and every burst up to 32 bits.
uint32_t crc32(std::string_view data);

}  // namespace epulse::actuate
