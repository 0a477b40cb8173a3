#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "server/engine/engine.hpp"
#include "server/ws/compression.hpp"
#include "server/ws/frame.hpp"

namespace epulse::server {

class Topic;

// A message to a topic, encoded once as the frame that every subscriber gets: plain for those
// without compression, and compressed, when the first one asks, for each window that subscribers
// keep to. Any thread may ask.
class Publication {
 public:
  Publication(std::shared_ptr<Topic> topic, ws::Opcode opcode,
              std::span<const std::uint8_t> payload);

  Topic& topic() const { return *topic_; }
  const Bytes& frame() const { return frame_; }
  std::span<const std::uint8_t> payload() const { return std::span(frame_).subspan(header_bytes_); }

  // Memory that it holds, without its compressed frames: of a short message most is not payload.
  std::size_t held_bytes() const { return sizeof(Publication) + kBlocksBytes + frame_.size(); }

  // For who takes windows of up to 2^`window_bits_max` bytes, 9 to 15; refers to no other message.
  // Null when the message is not to be compressed, or would not become smaller. It outlives the
  // publication: what waits for a slow subscriber must not keep the plain frame, too.
  SharedBytes compressed_frame(ws::Compression& compression, std::uint8_t window_bits_max) const;

 private:
  struct Compressed {
    std::once_flag made;
    SharedBytes frame;  // null: the plain one is better
  };

  static constexpr std::size_t kBlocksBytes = 80;  // of the heap's blocks and a place in a queue

  SharedBytes compress(ws::Compression& compression, std::uint8_t window_bits_max) const;

  std::shared_ptr<Topic> topic_;
  Bytes frame_;
  std::size_t header_bytes_;
  ws::Opcode opcode_;
  mutable std::array<Compressed, ws::kMaxWindowBits - ws::kMinWindowBits + 1> compressed_;
};
using PublicationPtr = std::shared_ptr<const Publication>;

}  // namespace epulse::server
