#include "server/ws/mask.hpp"

#include <bit>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace epulse::ws {
namespace {

constexpr std::size_t kWideFrom = 128;  // bytes; below, the ways there and back cost more

// Masks whole vectors; what is left of `data`.
using MaskWide = std::span<std::uint8_t> (*)(std::span<std::uint8_t> data, std::uint32_t key);

#ifdef __x86_64__
[[gnu::target("avx2")]] std::span<std::uint8_t> mask_avx2(std::span<std::uint8_t> data,
                                                          std::uint32_t key) {
  const __m256i keys = _mm256_set1_epi32(static_cast<int>(key));
  while (data.size() >= 2 * sizeof keys) {
    auto* const at = reinterpret_cast<__m256i*>(data.data());
    const __m256i first = _mm256_xor_si256(_mm256_loadu_si256(at), keys);
    const __m256i second = _mm256_xor_si256(_mm256_loadu_si256(at + 1), keys);
    _mm256_storeu_si256(at, first);
    _mm256_storeu_si256(at + 1, second);
    data = data.subspan(2 * sizeof keys);
  }
  return data;
}

const MaskWide mask_wide = __builtin_cpu_supports("avx2") != 0 ? mask_avx2 : nullptr;
#else
constexpr MaskWide mask_wide = nullptr;
#endif

}  // namespace

void apply_mask(std::span<std::uint8_t> data, MaskKey key, std::uint64_t offset) {
  const std::uint32_t half_key = turned(std::bit_cast<std::uint32_t>(key), offset);
  if (data.size() >= kWideFrom && mask_wide != nullptr) data = mask_wide(data, half_key);
  mask_short(data.data(), data.data(), data.size(), half_key);
}

}  // namespace epulse::ws
