#include "server/tls/hello_guard.hpp"

namespace epulse::tls {
namespace {

constexpr std::uint8_t kHandshakeRecord = 22;

}  // namespace

bool HelloGuard::admits(std::span<const std::uint8_t> piece) {
  if (seen_ > kMaxHandshakeBytes) return false;
  seen_ += piece.size();
  while (!piece.empty() && messages_ < kMaxHellos) {
    if (record_left_ == 0) {
      if (!record_.take(piece)) break;
      is_handshake_ = record_.bytes[0] == kHandshakeRecord;
      record_left_ = static_cast<std::uint16_t>(record_.bytes[3] << 8U | record_.bytes[4]);
      continue;
    }
    const auto body = piece.first(std::min<std::size_t>(record_left_, piece.size()));
    piece = piece.subspan(body.size());
    record_left_ = static_cast<std::uint16_t>(record_left_ - body.size());
    if (is_handshake_ && !admits_messages(body)) return false;
  }
  return true;
}

bool HelloGuard::admits_messages(std::span<const std::uint8_t> body) {
  while (!body.empty() && messages_ < kMaxHellos) {
    if (message_left_ == 0) {
      if (!message_.take(body)) break;
      const auto& bytes = message_.bytes;
      message_left_ = static_cast<std::uint32_t>(bytes[1] << 16U | bytes[2] << 8U | bytes[3]);
      if (message_left_ > kMaxHelloBytes) return false;
      ++messages_;
      continue;
    }
    const std::size_t n = std::min<std::size_t>(message_left_, body.size());
    body = body.subspan(n);
    message_left_ -= static_cast<std::uint32_t>(n);
  }
  return true;
}

}  // namespace epulse::tls
