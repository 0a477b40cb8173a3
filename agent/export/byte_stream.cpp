#include "agent/export/byte_stream.hpp"

namespace epulse::record {

void ByteWriter::number(uint64_t value) {
  while (value >= 0x80) {
    out_ += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out_ += static_cast<char>(value);
}

void ByteWriter::difference(uint64_t value, uint64_t base) {
  const uint64_t distance = value - base;
  const bool negative = distance >> 63 != 0;
  number((distance << 1) ^ (negative ? ~uint64_t{0} : 0));
}

void ByteWriter::text(std::string_view value) {
  number(value.size());
  out_.append(value);
}

uint64_t ByteReader::long_number() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (in_.empty()) break;
    const auto byte = static_cast<unsigned char>(in_.front());
    in_.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  ok_ = false;
  in_ = {};
  return 0;
}

std::string_view ByteReader::text() {
  const uint64_t size = number();
  if (size > in_.size()) {
    ok_ = false;
    in_ = {};
    return {};
  }
  const std::string_view taken = in_.substr(0, size);
  in_.remove_prefix(size);
  return taken;
}

}  // namespace epulse::record
