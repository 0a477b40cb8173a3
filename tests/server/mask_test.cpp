#include "server/ws/mask.hpp"

#include <gtest/gtest.h>

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
