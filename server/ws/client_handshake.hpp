#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/ws/deflate_terms.hpp"
#include "server/ws/handshake.hpp"

// The client's half of the opening handshake (RFC 6455, 4.1).
namespace epulse::ws {

// Sec-WebSocket-Key from 16 random bytes.
std::string make_key(const std::array<std::uint8_t, 16>& nonce);

// What a client would like besides the upgrade itself.
struct UpgradeOffer {
  std::span<const std::string> protocols;  // tokens, the preferred one first
  std::optional<DeflateTerms> deflate;
};

std::string upgrade_request(std::string_view host, std::string_view target, std::string_view key,
                            const UpgradeOffer& offer = {});

struct ResponseHead {
  enum class Verdict { kIncomplete, kAccepted, kRefused };
  Verdict verdict = Verdict::kIncomplete;
  std::size_t size = 0;     // bytes of the head; what follows are frames
  int status = 0;           // 0 when there is none
  std::string_view reason;  // of a refusal
  Agreement agreed;         // views into the buffer
};

// Refuses an answer that grants what `offer` does not ask for, or breaks a grammar.
ResponseHead check_response(std::string_view buffer, std::string_view key,
                            const UpgradeOffer& offer = {});

}  // namespace epulse::ws
