#include "agent/export/checksum.hpp"

#include <zlib.h>

namespace epulse::record {

uint32_t block_checksum(std::string_view type_and_size, std::string_view payload) {
  uLong crc = crc32(0, reinterpret_cast<const Bytef*>(type_and_size.data()),
                    static_cast<uInt>(type_and_size.size()));
  // An empty view may be null, which zlib takes for the wish to begin anew.
  if (!payload.empty()) {
    crc = crc32(crc, reinterpret_cast<const Bytef*>(payload.data()),
                static_cast<uInt>(payload.size()));
  }
  return static_cast<uint32_t>(crc);
}

}  // namespace epulse::record
