#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
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

// Whether all are below 0x80, as in most short texts; at least 8 of them.
inline bool is_ascii(std::span<const std::uint8_t> bytes) {
  constexpr std::uint64_t kTopBits = 0x8080808080808080;
  std::uint64_t all = 0;
  std::memcpy(&all, bytes.data() + bytes.size() - sizeof all, sizeof all);
  for (std::size_t i = 0; i + sizeof all < bytes.size(); i += sizeof all) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, sizeof word);
    all |= word;
  }
  return (all & kTopBits) == 0;
}

// Whether a whole text is right.
inline bool is_utf8(std::span<const std::uint8_t> text) {
  if (text.size() >= sizeof(std::uint64_t) && is_ascii(text)) return true;
  Utf8Validator validator;
  return validator.feed(text) && validator.complete();
}

}  // namespace epulse::ws
