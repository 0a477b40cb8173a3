#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "server/ws/compression_options.hpp"
#include "server/ws/deflate_terms.hpp"
#include "server/ws/deflater.hpp"
#include "server/ws/inflate_pool.hpp"

namespace epulse::ws {

// What the connections of one thread compress and inflate with.
class Compression {
 public:
  explicit Compression(const CompressionOptions& options);

  const CompressionOptions& options() const { return options_; }
  DeflatePolicy policy() const;
  InflatePool& inflaters() { return inflaters_; }

  // The smallest window that a message of `bytes` can make use of, at most `window_bits_max`.
  static std::uint8_t window_bits_for(std::size_t bytes, std::uint8_t window_bits_max);

  // A message that refers to no other; good until the next call of either. Throws std::bad_alloc.
  std::span<const std::uint8_t> deflate(std::span<const std::uint8_t> message,
                                        std::uint8_t window_bits_max);
  // One that may refer to those which `own` has seen.
  std::span<const std::uint8_t> deflate(std::span<const std::uint8_t> message, Deflater& own);

 private:
  void trim();

  CompressionOptions options_;
  InflatePool inflaters_;
  std::array<std::unique_ptr<Deflater>, kMaxWindowBits + 1> shared_;  // by window bits, when needed
  std::vector<std::uint8_t> output_;
};

// How one end of a connection compresses what it sends.
class DeflateSender {
 public:
  DeflateSender() = default;  // not at all
  DeflateSender(Compression& compression, const DeflateSide& side)
      : compression_(&compression), side_(side) {}

  struct Payload {
    std::span<const std::uint8_t> bytes;  // the message, or good until the next one is encoded
    bool compressed = false;
  };
  bool may_compress() const { return compression_ != nullptr; }
  Payload encode(std::span<const std::uint8_t> message) {
    return may_compress() ? compress(message) : Payload{message, false};
  }

  // The window that a compressed message of another's making must keep to; 0: send none.
  std::uint8_t window_bits() const;
  // Such a message was sent. The peer's window has it now and ours does not.
  void forget_context() {
    if (own_) own_->reset();
  }

 private:
  Payload compress(std::span<const std::uint8_t> message);

  Compression* compression_ = nullptr;
  std::unique_ptr<Deflater> own_;  // with context takeover, from the first message on
  DeflateSide side_;
};

}  // namespace epulse::ws
