#pragma once

#include <cstddef>
#include <cstdint>

namespace epulse::ws {

struct CompressionOptions {
  enum class Mode : std::uint8_t {
    kOff,
    kShared,     // one compressor for all connections of a thread: no context is taken over
    kDedicated,  // one per connection, which remembers earlier messages, if the peer agrees
  };
  Mode mode = Mode::kOff;
  int level = 1;                  // 1, fast, to 9, small
  std::uint8_t window_bits = 12;  // dedicated: of both directions, 9 to 15
  int mem_level = 5;              // dedicated: of the deflater, 1 to 9
  std::size_t min_bytes = 128;    // shorter messages go out as they are
  std::uint64_t inflating_cap_bytes = std::uint64_t{256} * 1024 * 1024;  // see InflatePool
};

}  // namespace epulse::ws
