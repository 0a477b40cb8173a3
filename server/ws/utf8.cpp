#include "server/ws/utf8.hpp"

#include <cstring>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace epulse::ws {
namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080ULL;

// How many bytes at the front of `bytes` are ASCII, to the vector, word or byte.
using AsciiBytes = std::size_t (*)(std::span<const std::uint8_t> bytes);

std::size_t ascii_by_words(std::span<const std::uint8_t> bytes) {
  std::size_t i = 0;
  for (; i + sizeof kHighBits <= bytes.size(); i += sizeof kHighBits) {
    std::uint64_t word = 0;
    std::memcpy(&word, &bytes[i], sizeof word);
    if ((word & kHighBits) != 0) return i;
  }
  return i;
}

#ifdef __x86_64__
[[gnu::target("avx2")]] std::size_t ascii_avx2(std::span<const std::uint8_t> bytes) {
  std::size_t i = 0;
  for (; i + 2 * sizeof(__m256i) <= bytes.size(); i += 2 * sizeof(__m256i)) {
    const auto* const at = reinterpret_cast<const __m256i*>(&bytes[i]);
    const __m256i both = _mm256_or_si256(_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1));
    if (_mm256_movemask_epi8(both) != 0) break;
  }
  return i + ascii_by_words(bytes.subspan(i));
}

const AsciiBytes ascii_bytes = __builtin_cpu_supports("avx2") != 0 ? ascii_avx2 : ascii_by_words;
#else
constexpr AsciiBytes ascii_bytes = ascii_by_words;
#endif

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
      if (bytes.size() - i >= sizeof kHighBits) i += ascii_bytes(bytes.subspan(i));
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
