#pragma once

#include <cstdint>
#include <string_view>

namespace epulse::record {

// The CRC-32 of a block: of its type and payload bytes as they stand in the header, and the
// payload.
uint32_t block_checksum(std::string_view type_and_size, std::string_view payload);

}  // namespace epulse::record
