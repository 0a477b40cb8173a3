#include "server/ws/utf8.hpp"

#include "server/ws/utf8_wide.hpp"

namespace epulse::ws {
namespace {

constexpr std::size_t kWideFrom = 8;  // bytes; below, the way there and back costs more

}  // namespace

bool Utf8Validator::start(std::uint8_t byte) {
  lower_ = 0x80;
  upper_ = 0xBF;
  if (byte < 0xC2)
    return false;  // A continuation byte, or C0 and C1, which only overlong forms use.
  if (byte < 0xE0) {
    needed_ = 1;
    return true;
  }
  if (byte < 0xF0) {
    needed_ = 2;
    if (byte == 0xE0) lower_ = 0xA0;  // below: overlong
    if (byte == 0xED) upper_ = 0x9F;  // above: surrogates
    return true;
  }
  if (byte > 0xF4) return false;
  needed_ = 3;
  if (byte == 0xF0) lower_ = 0x90;  // below: overlong
  if (byte == 0xF4) upper_ = 0x8F;  // above: beyond U+10FFFF
  return true;
}

bool Utf8Validator::feed(std::span<const std::uint8_t> bytes) {
  std::size_t i = 0;
  while (i < bytes.size() && !wrong_) {
    if (needed_ == 0) {
      if (bytes.size() - i >= kWideFrom) i += right_bytes(bytes.subspan(i));
      while (i < bytes.size() && bytes[i] < 0x80) ++i;  // less than a word
      if (i == bytes.size()) break;
      wrong_ = !start(bytes[i++]);
      continue;
    }
    const std::uint8_t byte = bytes[i++];
    wrong_ = byte < lower_ || byte > upper_;
    lower_ = 0x80;
    upper_ = 0xBF;
    --needed_;
  }
  return !wrong_;
}

}  // namespace epulse::ws
