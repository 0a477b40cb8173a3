#pragma once

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "server/ws/parser.hpp"
#include "tests/fuzz/target.hpp"

namespace epulse::fuzz {

// Has `parser` read a stream that comes in pieces of `step` bytes, and calls `each(event)`,
// kNeedMore at the end of each piece included, up to a close or a violation.
template <typename Each>
void hear(ws::Parser& parser, std::string_view stream, size_t step, Each&& each) {
  while (!stream.empty()) {
    // On the heap in its own size, so that one byte too many is seen.
    std::vector<uint8_t> piece(
        stream.begin(), stream.begin() + static_cast<ptrdiff_t>(std::min(step, stream.size())));
    stream.remove_prefix(piece.size());
    std::span<uint8_t> input = piece;
    while (true) {
      const ws::Event event = parser.next(input);
      each(event);
      if (event.kind == ws::Event::Kind::kNeedMore) break;
      if (event.kind == ws::Event::Kind::kClose || event.kind == ws::Event::Kind::kViolation)
        return;
    }
    require(input.empty(), "all input is consumed");
  }
}

}  // namespace epulse::fuzz
