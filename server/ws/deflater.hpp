#pragma once

#include <zlib.h>

#include <cstdint>
#include <span>
#include <vector>

namespace epulse::ws {

// Deflates the messages of one direction of a connection (RFC 7692, 7.2.1).
class Deflater {
 public:
  struct Settings {
    int window_bits = 15;  // 9 to 15; memory grows with 2^window_bits * 4 bytes
    int mem_level = 8;     // 1 to 9; memory grows with 2^mem_level * 512 bytes
    int level = 1;         // 1, fast, to 9, small
  };

  // Throws std::bad_alloc.
  explicit Deflater(const Settings& settings);
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater();

  // One message, in DEFLATE with the tail removed. It may refer to those since the last reset().
  // The answer lies in `out`, which grows as it has to, or in constant memory.
  std::span<const std::uint8_t> deflate(std::span<const std::uint8_t> message,
                                        std::vector<std::uint8_t>& out);

  // Forgets all earlier messages; done when the next one comes.
  void reset() { is_stale_ = true; }

 private:
  z_stream stream_{};
  bool is_stale_ = false;
};

}  // namespace epulse::ws
