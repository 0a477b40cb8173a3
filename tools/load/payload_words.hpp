#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

namespace epulse::load {

constexpr std::size_t kWordBytes = sizeof(std::uint64_t);
// Copies of a known size are single instructions, where a call for so few bytes costs more.
constexpr std::size_t kHalfWord = sizeof(std::uint32_t);

// 2^64 / golden ratio: spreads small numbers.
constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15ULL;

// What a message holds, word by word: its number, then a pattern (payload.hpp).
class PlainWords {
 public:
  PlainWords(std::uint32_t connection, std::uint64_t sequence)
      : next_(sequence), seed_((sequence + 1) * kOdd ^ connection) {}

  std::uint64_t next() {
    const std::uint64_t word = next_;
    next_ = seed_ += kOdd;
    return word;
  }

 private:
  std::uint64_t next_;
  std::uint64_t seed_;
};

// Likewise, perhaps of a pattern that can be compressed.
class PayloadWords {
 public:
  PayloadWords(std::uint32_t connection, std::uint64_t sequence, bool compressible)
      : words_(connection, sequence), compressible_(compressible) {}

  std::uint64_t next() {
    const std::uint64_t word = words_.next();
    return std::exchange(first_, false) || !compressible_ ? word : letters(word);
  }

 private:
  // Eight letters out of sixteen; which ones depends on every bit.
  static std::uint64_t letters(std::uint64_t bits) {
    constexpr std::uint64_t kNibbles = 0x0F0F0F0F0F0F0F0FULL;
    constexpr std::uint64_t kFirstLetters = 0x6161616161616161ULL;
    return (bits * kOdd >> 4U & kNibbles) + kFirstLetters;
  }

  PlainWords words_;
  bool compressible_;
  bool first_ = true;  // the number
};

// Writes the message, each word changed by `key`.
inline void put_words(std::span<std::uint8_t> payload, PayloadWords words, std::uint64_t key) {
  for (; payload.size() >= kWordBytes; payload = payload.subspan(kWordBytes)) {
    const std::uint64_t word = words.next() ^ key;
    std::memcpy(payload.data(), &word, kWordBytes);
  }
  const std::uint64_t last = words.next() ^ key;
  std::array<std::uint8_t, kWordBytes> bytes;
  std::memcpy(bytes.data(), &last, kWordBytes);
  std::size_t at = 0;
  if (payload.size() >= kHalfWord) {
    std::memcpy(payload.data(), bytes.data(), kHalfWord);
    at = kHalfWord;
  }
  for (; at < payload.size(); ++at) payload[at] = bytes[at];
}

inline bool has_words(std::span<const std::uint8_t> payload, PayloadWords words) {
  std::uint64_t difference = 0;
  for (; payload.size() >= kWordBytes; payload = payload.subspan(kWordBytes)) {
    std::uint64_t word = 0;
    std::memcpy(&word, payload.data(), kWordBytes);
    difference |= word ^ words.next();
  }
  const std::uint64_t last = words.next();
  std::array<std::uint8_t, kWordBytes> bytes;
  std::memcpy(bytes.data(), &last, kWordBytes);
  std::size_t at = 0;
  if (payload.size() >= kHalfWord) {
    std::uint32_t half = 0;
    std::uint32_t expected = 0;
    std::memcpy(&half, payload.data(), kHalfWord);
    std::memcpy(&expected, bytes.data(), kHalfWord);
    difference |= half ^ expected;
    at = kHalfWord;
  }
  for (; at < payload.size(); ++at) {
    difference |= static_cast<std::uint64_t>(payload[at] ^ bytes[at]);
  }
  return difference == 0;
}

// The same for whom there are kWordBytes - 1 bytes more behind the payload, to be written to or
// read: without a branch on how the last word ends.

inline void put_words_and_more(std::uint8_t* at, std::size_t bytes, PlainWords words,
                               std::uint64_t key) {
  for (std::size_t i = 0; i < bytes; i += kWordBytes) {
    const std::uint64_t word = words.next() ^ key;
    std::memcpy(at + i, &word, kWordBytes);
  }
}

inline bool has_words_and_more(const std::uint8_t* at, std::size_t bytes, PlainWords words) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t difference = 0;
  std::uint64_t last = 0;
  for (std::size_t i = 0; i < bytes; i += kWordBytes) {
    difference |= last;
    std::memcpy(&last, at + i, kWordBytes);
    last ^= words.next();
  }
  const std::size_t beyond = (kWordBytes - bytes % kWordBytes) % kWordBytes;
  return (difference | last << (8 * beyond)) == 0;
}

}  // namespace epulse::load
