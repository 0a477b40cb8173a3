#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// What a client says of its connection, and what follows from it. No I/O.
namespace epulse::server {

struct QualityReport {
  double rtt_ms = 0;          // round-trip time as the client measures it
  double loss = 0;            // share of its messages that were lost or late, 0 to 1
  double buffered_bytes = 0;  // that it could not send yet (WebSocket.bufferedAmount)
};

// What holds for a connection.
struct QualityLimits {
  std::uint32_t max_message_bytes = 0;  // of one message from the client
  std::uint32_t ping_interval_s = 0;

  friend bool operator==(const QualityLimits&, const QualityLimits&) = default;
};

// "epulse-quality rtt_ms=120 loss=0.02 buffered=65536": each once, in any order, none needed;
// nothing for any other text.
std::optional<QualityReport> parse_quality(std::string_view text);

// From 64 KiB and 30 s on a good connection (100 ms, 0.1 % lost, 16 KiB buffered, or better) to 8
// KiB and 15 s on a bad one (500 ms, 2 %, 256 KiB, or worse); the worst of the three counts. The
// size goes in powers of two: small messages keep a slow link responsive, frequent pings find a
// dead one sooner.
QualityLimits limits_for(const QualityReport& report);

// The answer: "epulse-limits max_message=65536 ping_s=30".
std::string limits_text(const QualityLimits& limits);

}  // namespace epulse::server
