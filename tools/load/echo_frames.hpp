#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tools/load/message_sizes.hpp"
#include "tools/load/random.hpp"

namespace epulse::load {

// The frames of a connection's echo, many at a time, where no detours are needed: one frame for a
// message, not compressed. What a message costs here is what keeps a generator from its limit: it
// is written masked, in one pass, and its answer compared where it was received.
class EchoFrames {
 public:
  // `sizes` must outlive it.
  EchoFrames(std::uint32_t connection, const MessageSizes& sizes, bool compressible)
      : sizes_(sizes), connection_(connection), compressible_(compressible) {}

  // Appends messages from number `first` on as a client sends them, each with a mask of its own.
  void append(std::vector<std::uint8_t>& output, std::uint64_t first, std::uint32_t count,
              RandomBits& random) const;

  // Removes from the front of `input` the server's answers to messages from number `first` on, and
  // tells how many those were, at most `max`. Stops at one that is not there whole or not, to the
  // last byte, what it must be.
  std::uint32_t take(std::span<std::uint8_t>& input, std::uint64_t first, std::uint64_t max) const;

 private:
  bool all_simple() const;
  std::uint8_t* put_simple(std::uint8_t* at, std::uint64_t first, std::uint32_t count,
                           RandomBits& random) const;
  std::uint32_t take_simple(std::span<std::uint8_t>& input, std::uint64_t first,
                            std::uint64_t max) const;
  std::size_t answer_bytes(std::span<const std::uint8_t> input, std::uint64_t sequence) const;

  const MessageSizes& sizes_;
  std::uint32_t connection_;
  bool compressible_;
};

}  // namespace epulse::load
