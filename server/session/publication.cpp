#include "server/session/publication.hpp"

#include <utility>

namespace epulse::server {
namespace {

Bytes frame_of(const ws::FrameHeader& header, std::span<const std::uint8_t> payload) {
  const ws::HeaderBytes head = ws::encode_header(header);
  Bytes frame;
  frame.reserve(head.size + payload.size());
  frame.insert(frame.end(), head.view().begin(), head.view().end());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

}  // namespace

Publication::Publication(std::shared_ptr<Topic> topic, ws::Opcode opcode,
                         std::span<const std::uint8_t> payload)
    : topic_(std::move(topic)),
      frame_(frame_of({opcode, payload.size(), true, {}}, payload)),
      header_bytes_(frame_.size() - payload.size()),
      opcode_(opcode) {}

SharedBytes Publication::compressed_frame(ws::Compression& compression,
                                          std::uint8_t window_bits_max) const {
  if (payload().size() < compression.options().min_bytes) return nullptr;
  // Small messages need no large window, so that one frame fits more of the subscribers.
  const std::uint8_t bits = ws::Compression::window_bits_for(payload().size(), window_bits_max);
  Compressed& compressed = compressed_[bits - ws::kMinWindowBits];
  std::call_once(compressed.made, [&] { compressed.frame = compress(compression, bits); });
  return compressed.frame;
}

SharedBytes Publication::compress(ws::Compression& compression,
                                  std::uint8_t window_bits_max) const {
  const auto deflated = compression.deflate(payload(), window_bits_max);
  if (deflated.size() >= payload().size()) return nullptr;
  return std::make_shared<const Bytes>(
      frame_of({opcode_, deflated.size(), true, {}, true}, deflated));
}

}  // namespace epulse::server
