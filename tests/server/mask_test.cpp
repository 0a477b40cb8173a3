#include "server/ws/mask.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <vector>

namespace epulse::ws {
namespace {

constexpr MaskKey kKey = {0x11, 0x22, 0x43, 0x84};

TEST(Mask, EveryLengthOffsetAndAlignmentEqualsTheDefinition) {
  for (std::size_t start = 0; start < 8; ++start) {
    for (std::size_t size = 0; size < 270; size += size < 40 || size > 120 ? 1 : 13) {
      for (std::uint64_t offset = 0; offset < 8; ++offset) {
        std::vector<std::uint8_t> data(start + size);
        for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * 7);
        const std::vector<std::uint8_t> before = data;
        apply_mask(std::span(data).subspan(start), kKey, offset);
        for (std::size_t i = 0; i < data.size(); ++i) {
          const std::uint8_t key = i < start ? std::uint8_t{0} : kKey[(offset + i - start) % 4];
          ASSERT_EQ(data[i], before[i] ^ key) << start << ' ' << size << ' ' << offset << ' ' << i;
        }
      }
    }
  }
}

// In place and into another place; a key of 0 copies. Nothing beside it is touched.
TEST(Mask, ShortOnesEqualTheDefinition) {
  for (const std::uint32_t key : {0U, std::bit_cast<std::uint32_t>(kKey)}) {
    for (std::size_t size = 0; size <= 125; ++size) {
      std::vector<std::uint8_t> from(size);
      for (std::size_t i = 0; i < size; ++i) from[i] = static_cast<std::uint8_t>(i * 7 + 1);
      std::vector<std::uint8_t> expected(size + 2, 0xEE);
      for (std::size_t i = 0; i < size; ++i) {
        expected[i + 1] = from[i] ^ std::bit_cast<MaskKey>(key)[i % 4];
      }
      std::vector<std::uint8_t> to(size + 2, 0xEE);
      mask_short(from.data(), to.data() + 1, size, key);
      ASSERT_EQ(to, expected) << size;
      std::copy(from.begin(), from.end(), to.begin() + 1);
      mask_short(to.data() + 1, to.data() + 1, size, key);
      ASSERT_EQ(to, expected) << size;
    }
  }
}

TEST(Mask, PiecesEqualTheWhole) {
  std::vector<std::uint8_t> whole(101, 0x5A);
  std::vector<std::uint8_t> pieces = whole;
  apply_mask(whole, kKey);
  for (std::size_t cut = 0; cut <= pieces.size(); ++cut) {
    std::vector<std::uint8_t> parts(101, 0x5A);
    apply_mask(std::span(parts).first(cut), kKey);
    apply_mask(std::span(parts).subspan(cut), kKey, cut);
    ASSERT_EQ(parts, whole) << cut;
  }
}

}  // namespace
}  // namespace epulse::ws
