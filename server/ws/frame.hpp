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

// The `bytes` last bytes of `value`.
template <typename Bytes>
void append_big_endian(Bytes& out, std::uint64_t value, unsigned bytes) {
  while (bytes-- > 0) out.bytes[out.size++] = static_cast<std::uint8_t>(value >> (8U * bytes));
}

// The header in the shortest form for its length. Every message has one: it is made where it is
// used.
inline HeaderBytes encode_header(const FrameHeader& header) {
  HeaderBytes out;
  const bool is_short = header.length < 126;
  const bool is_medium = header.length <= 0xFFFF;
  const std::uint64_t length = is_short ? header.length : is_medium ? 126U : 127U;
  out.bytes[0] =
      static_cast<std::uint8_t>((header.fin ? 0x80U : 0U) | (header.compressed ? 0x40U : 0U) |
                                static_cast<unsigned>(header.opcode));
  out.bytes[1] = static_cast<std::uint8_t>((header.mask ? 0x80U : 0U) | length);
  out.size = 2;
  if (!is_short) append_big_endian(out, header.length, is_medium ? 2 : 8);
  if (header.mask) {
    for (const std::uint8_t byte : *header.mask) out.bytes[out.size++] = byte;
  }
  return out;
}

// A frame whose length fits into the second byte of its header, from a server: the usual one.
constexpr std::size_t kShortHeaderBytes = 2;

inline bool is_short(std::span<const std::uint8_t> payload) {
  return payload.size() < 126;
}

// The whole of it, to where there is room for it.
inline void write_short_frame(std::uint8_t* at, Opcode opcode, bool compressed,
                              std::span<const std::uint8_t> payload) {
  at[0] =
      static_cast<std::uint8_t>(0x80U | (compressed ? 0x40U : 0U) | static_cast<unsigned>(opcode));
  at[1] = static_cast<std::uint8_t>(payload.size());
  mask_short(payload.data(), at + kShortHeaderBytes, payload.size(), 0);
}

// A whole control frame; a payload above 125 bytes is cut. The payload is masked when `mask` is
// given.
ControlFrame encode_control(Opcode opcode, std::span<const std::uint8_t> payload,
                            std::optional<MaskKey> mask = std::nullopt);

// kNoStatus gives an empty close frame.
ControlFrame encode_close(CloseCode code, std::string_view reason,
                          std::optional<MaskKey> mask = std::nullopt);

}  // namespace epulse::ws
