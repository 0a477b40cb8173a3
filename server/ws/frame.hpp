#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "server/ws/close_code.hpp"
#include "server/ws/mask.hpp"

// Frames as they are on the wire (RFC 6455, 5.2).
namespace epulse::ws {

enum class Opcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

constexpr std::size_t kMaxHeaderBytes = 14;
constexpr std::size_t kMaxControlPayload = 125;

constexpr bool is_control(Opcode opcode) {
  return (static_cast<unsigned>(opcode) & 8U) != 0;
}

struct FrameHeader {
  Opcode opcode = Opcode::kText;
  std::uint64_t length = 0;
  bool fin = true;
  std::optional<MaskKey> mask;  // clients must, servers must not
  bool compressed = false;      // RSV1: the message is (RFC 7692, 6); on its first frame only
};

// A small piece that needs no heap: a header, a whole control frame, a line of text.
template <std::size_t kCapacity>
struct InlineBytes {
  std::array<std::uint8_t, kCapacity> bytes{};
  std::size_t size = 0;

  std::span<const std::uint8_t> view() const { return {bytes.data(), size}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), size}; }

  // Cuts what there is no room for.
  void append(std::string_view more) {
    more = more.substr(0, kCapacity - size);
    std::copy(more.begin(), more.end(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    size += more.size();
  }
};

using HeaderBytes = InlineBytes<kMaxHeaderBytes>;
using ControlFrame = InlineBytes<kMaxHeaderBytes + kMaxControlPayload>;

// The header in the shortest form for its length.
HeaderBytes encode_header(const FrameHeader& header);

// A whole control frame; a payload above 125 bytes is cut. The payload is masked when `mask` is
// given.
ControlFrame encode_control(Opcode opcode, std::span<const std::uint8_t> payload,
                            std::optional<MaskKey> mask = std::nullopt);

// kNoStatus gives an empty close frame.
ControlFrame encode_close(CloseCode code, std::string_view reason,
                          std::optional<MaskKey> mask = std::nullopt);

}  // namespace epulse::ws
