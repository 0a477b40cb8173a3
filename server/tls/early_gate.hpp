#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace epulse::tls {

// Decides what of early data (0-RTT) is acted upon before the handshake is complete. Whoever
// records it can play it again (RFC 8446, 8), so only a request for a path that was declared safe
// to repeat is, and of that the head alone: never a message. All else waits for the end of the
// handshake, which costs the client the round trip it would have had without early data. RFC 8470
// allows status 425 instead, but WebSocket clients do not try again on it.
class EarlyGate {
 public:
  // `safe_paths` outlives the gate.
  explicit EarlyGate(const std::vector<std::string>& safe_paths) : safe_paths_(safe_paths) {}

  // Takes early data; what may be acted upon now, valid until the next call.
  std::span<std::uint8_t> admit(std::span<const std::uint8_t> early);

  // The handshake is complete: all that waited.
  std::span<std::uint8_t> release();

 private:
  bool is_safe(std::string_view head) const;

  const std::vector<std::string>& safe_paths_;
  std::vector<std::uint8_t> held_;  // bounded by the amount of early data that the server accepts
  std::size_t admitted_ = 0;        // bytes at its front
  bool decided_ = false;
};

}  // namespace epulse::tls
