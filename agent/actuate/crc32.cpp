#include "agent/actuate/crc32.hpp"

namespace epulse::actuate {

uint32_t crc32(std::string_view data) {
  uint32_t crc = 0xffffffffU;
  for (const char byte : data) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

}  // namespace epulse::actuate
