#pragma once

#include <cstdint>
#include <span>

namespace epulse::ws {

// Incremental check of UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
// A byte that no continuation could mend fails at once, even in the middle of a character.
class Utf8Validator {
 public:
  // False from the first wrong byte on.
  bool feed(std::span<const std::uint8_t> bytes);

  // Whether the text may end here.
  bool complete() const { return needed_ == 0; }

 private:
  bool start(std::uint8_t byte);

  std::uint8_t needed_ = 0;    // continuation bytes still to come
  std::uint8_t lower_ = 0x80;  // bounds of the next one
  std::uint8_t upper_ = 0xBF;
  bool wrong_ = false;
};

}  // namespace epulse::ws
