#include "server/ws/utf8_wide.hpp"

#include <cstring>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace epulse::ws {
namespace {

using Bytes = std::span<const std::uint8_t>;
using RightBytes = std::size_t (*)(Bytes bytes);

constexpr std::uint64_t kHighBits = 0x8080808080808080ULL;

bool is_ascii_word(const std::uint8_t* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return (word & kHighBits) == 0;
}

// ASCII at the front, to the word; to the end when the last one is, too.
std::size_t ascii_by_words(Bytes bytes) {
  constexpr std::size_t kWord = sizeof kHighBits;
  if (bytes.size() < kWord) return 0;
  const std::size_t last = bytes.size() - kWord;
  std::size_t i = 0;
  for (; i < last; i += kWord) {
    if (!is_ascii_word(&bytes[i])) return i;
  }
  return is_ascii_word(&bytes[last]) ? bytes.size() : i;
}

#ifdef __x86_64__

// What two neighbouring bytes cannot be, a bit for each way to be wrong. Each table knows the ways
// that are open as far as one half byte tells; what all three leave open is so. J. Keiser, D.
// Lemire: Validating UTF-8 In Less Than One Instruction Per Byte (2021), section 6.
constexpr char kTooShort = 1 << 0;   // no continuation where one must be
constexpr char kTooLong = 1 << 1;    // a continuation after ASCII
constexpr char kOverlong3 = 1 << 2;  // E0 80 to E0 9F
constexpr char kTooLarge = 1 << 3;   // F4 90 and more
constexpr char kSurrogate = 1 << 4;  // ED A0 to ED BF
constexpr char kOverlong2 = 1 << 5;  // C0, C1
constexpr char kBeyond = 1 << 6;     // F5 80 and more, and F0 80 to F0 8F, overlong
// Two continuations: wrong unless the byte two or three before them wants that many.
constexpr char kTwoConts = static_cast<char>(1 << 7);
constexpr char kAnyLow = kTooShort | kTooLong | kTwoConts;

[[gnu::target("avx2")]] __m256i twice(const char (&table)[16]) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
}

// The block as it would begin N bytes earlier.
template <int N>
[[gnu::target("avx2")]] __m256i earlier(__m256i block, __m256i before) {
  return _mm256_alignr_epi8(block, _mm256_permute2x128_si256(before, block, 0x21), 16 - N);
}

[[gnu::target("avx2")]] __m256i high_halves(__m256i bytes) {
  return _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0F));
}

// Whether each byte may follow those before it.
[[gnu::target("avx2")]] bool is_right(__m256i block, __m256i before) {
  static constexpr char kFirstHigh[16] = {kTooLong,
                                          kTooLong,
                                          kTooLong,
                                          kTooLong,  // ASCII
                                          kTooLong,
                                          kTooLong,
                                          kTooLong,
                                          kTooLong,  //
                                          kTwoConts,
                                          kTwoConts,
                                          kTwoConts,
                                          kTwoConts,
                                          kTooShort | kOverlong2,                      // C
                                          kTooShort,                                   // D
                                          kTooShort | kOverlong3 | kSurrogate,         // E
                                          kTooShort | kTooLarge | kBeyond};            // F
  static constexpr char kFirstLow[16] = {kAnyLow | kOverlong3 | kOverlong2 | kBeyond,  // 0
                                         kAnyLow | kOverlong2,                         // 1
                                         kAnyLow,
                                         kAnyLow,
                                         kAnyLow | kTooLarge,  // 4
                                         kAnyLow | kTooLarge | kBeyond,
                                         kAnyLow | kTooLarge | kBeyond,
                                         kAnyLow | kTooLarge | kBeyond,
                                         kAnyLow | kTooLarge | kBeyond,
                                         kAnyLow | kTooLarge | kBeyond,
                                         kAnyLow | kTooLarge | kBeyond,
                                         kAnyLow | kTooLarge | kBeyond,
                                         kAnyLow | kTooLarge | kBeyond,
                                         kAnyLow | kTooLarge | kBeyond | kSurrogate,  // D
                                         kAnyLow | kTooLarge | kBeyond,
                                         kAnyLow | kTooLarge | kBeyond};
  static constexpr char kSecondHigh[16] = {
      kTooShort,
      kTooShort,
      kTooShort,
      kTooShort,  // ASCII
      kTooShort,
      kTooShort,
      kTooShort,
      kTooShort,                                                   //
      kTooLong | kOverlong2 | kTwoConts | kOverlong3 | kBeyond,    // 8
      kTooLong | kOverlong2 | kTwoConts | kOverlong3 | kTooLarge,  // 9
      kTooLong | kOverlong2 | kTwoConts | kSurrogate | kTooLarge,  // A
      kTooLong | kOverlong2 | kTwoConts | kSurrogate | kTooLarge,  // B
      kTooShort,
      kTooShort,
      kTooShort,
      kTooShort};  // a first byte

  const __m256i first = earlier<1>(block, before);
  const __m256i low = _mm256_and_si256(first, _mm256_set1_epi8(0x0F));
  const __m256i wrong =
      _mm256_and_si256(_mm256_and_si256(_mm256_shuffle_epi8(twice(kFirstHigh), high_halves(first)),
                                        _mm256_shuffle_epi8(twice(kFirstLow), low)),
                       _mm256_shuffle_epi8(twice(kSecondHigh), high_halves(block)));
  // The high bit where E0 or more is two bytes before, or F0 or more three: there, and there only,
  // two continuations must be.
  const __m256i third = _mm256_subs_epu8(earlier<2>(block, before), _mm256_set1_epi8(0xE0 - 0x80));
  const __m256i fourth = _mm256_subs_epu8(earlier<3>(block, before), _mm256_set1_epi8(0xF0 - 0x80));
  const __m256i wanted =
      _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8(kTwoConts));
  const __m256i left = _mm256_xor_si256(wanted, wrong);
  return _mm256_testz_si256(left, left) != 0;
}

// Of a character at the end that has begun and wants more.
std::size_t unfinished_bytes(Bytes bytes) {
  const std::size_t size = bytes.size();
  if (size >= 1 && bytes[size - 1] >= 0xC0) return 1;
  if (size >= 2 && bytes[size - 2] >= 0xE0) return 2;
  return size >= 3 && bytes[size - 3] >= 0xF0 ? 3 : 0;
}

[[gnu::target("avx2")]] __m256i load(const std::uint8_t* at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}

// What is at the end and fills no vector, and then NUL.
[[gnu::target("avx2")]] __m256i load_rest(Bytes rest) {
  alignas(__m256i) std::uint8_t padded[sizeof(__m256i)] = {};
  std::memcpy(padded, rest.data(), rest.size());
  return load(padded);
}

[[gnu::target("avx2")]] std::size_t characters_avx2(Bytes bytes) {
  const Bytes whole = bytes.first(bytes.size() - unfinished_bytes(bytes));
  __m256i before = _mm256_setzero_si256();
  std::size_t i = 0;
  for (; i < whole.size(); i += sizeof before) {
    const bool fits = whole.size() - i >= sizeof before;
    const __m256i block = fits ? load(&whole[i]) : load_rest(whole.subspan(i));
    const bool both_ascii = _mm256_movemask_epi8(_mm256_or_si256(before, block)) == 0;
    if (!both_ascii && !is_right(block, before)) return i - unfinished_bytes(whole.first(i));
    before = block;
  }
  // What is left of `whole` may end unfinished, too: nobody has seen what follows that.
  return whole.size() - unfinished_bytes(whole);
}

[[gnu::target("avx2")]] std::size_t ascii_avx2(Bytes bytes) {
  std::size_t i = 0;
  for (; i + 2 * sizeof(__m256i) <= bytes.size(); i += 2 * sizeof(__m256i)) {
    const __m256i both = _mm256_or_si256(load(&bytes[i]), load(&bytes[i + sizeof(__m256i)]));
    if (_mm256_movemask_epi8(both) != 0) return i;
  }
  return i + ascii_by_words(bytes.subspan(i));
}

// Texts are ASCII throughout more often than not.
[[gnu::target("avx2")]] std::size_t right_avx2(Bytes bytes) {
  const std::size_t ascii = ascii_avx2(bytes);
  return ascii == bytes.size() ? ascii : ascii + characters_avx2(bytes.subspan(ascii));
}

const RightBytes by_best = __builtin_cpu_supports("avx2") != 0 ? right_avx2 : ascii_by_words;
#else
constexpr RightBytes by_best = ascii_by_words;
#endif

}  // namespace

std::size_t right_bytes(Bytes bytes) {
  return by_best(bytes);
}

}  // namespace epulse::ws
