#include "server/ws/frame.hpp"

#include <algorithm>

namespace epulse::ws {
namespace {

// At most so many bytes of it, and no character in part.
std::string_view cut(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80) --bytes;
  return text.substr(0, bytes);
}

}  // namespace

ControlFrame encode_control(Opcode opcode, std::span<const std::uint8_t> payload,
                            std::optional<MaskKey> mask) {
  payload = payload.first(std::min(payload.size(), kMaxControlPayload));
  const HeaderBytes header = encode_header({opcode, payload.size(), true, mask});
  ControlFrame out;
  std::copy_n(header.bytes.begin(), header.size, out.bytes.begin());
  std::copy(payload.begin(), payload.end(),
            out.bytes.begin() + static_cast<std::ptrdiff_t>(header.size));
  out.size = header.size + payload.size();
  if (mask) apply_mask(std::span(out.bytes).subspan(header.size, payload.size()), *mask);
  return out;
}

ControlFrame encode_close(CloseCode code, std::string_view reason, std::optional<MaskKey> mask) {
  if (code == CloseCode::kNoStatus) return encode_control(Opcode::kClose, {}, mask);
  InlineBytes<kMaxControlPayload> payload;
  append_big_endian(payload, static_cast<std::uint16_t>(code), 2);
  payload.append(cut(reason, kMaxControlPayload - payload.size));
  return encode_control(Opcode::kClose, payload.view(), mask);
}

}  // namespace epulse::ws
