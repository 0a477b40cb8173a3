#pragma once

#include <zlib.h>

#include <cstdint>
#include <span>

namespace epulse::ws {

// Inflates the payloads of one direction of a connection (RFC 7692, 7.2.2).
class Inflater {
 public:
  enum class Status : std::uint8_t {
    kInputUsed,   // and all that it comes to has been put out
    kOutputFull,  // there may be more: call again with more room
    kCorrupt,     // not DEFLATE; good for nothing any more but reset()
  };

  // For messages of who uses a window of 2^`window_bits` bytes, 8 to 15, or a smaller one. Throws
  // std::bad_alloc.
  explicit Inflater(std::uint8_t window_bits);
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater();

  // Cuts what was used from the front of `input` and `output`; `output` must not be empty. Throws
  // std::bad_alloc.
  Status inflate(std::span<const std::uint8_t>& input, std::span<std::uint8_t>& output);

  // Whether the input ended where a DEFLATE block did, as that of a message must with its tail.
  bool at_block_end() const { return at_block_end_; }

  // Forgets all earlier messages.
  void reset();

 private:
  z_stream stream_{};
  bool at_block_end_ = true;
};

}  // namespace epulse::ws
