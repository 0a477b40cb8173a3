#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>

namespace epulse::tls {

constexpr std::size_t kTicketNameBytes = 16;

// What a session ticket is sealed with (RFC 5077, 4).
struct TicketKey {
  std::array<std::uint8_t, kTicketNameBytes> name{};
  std::array<std::uint8_t, 32> cipher{};  // AES-256
  std::array<std::uint8_t, 32> mac{};     // HMAC-SHA-256
  std::uint64_t since_s = 0;              // when it came into use

  ~TicketKey();
};

// The keys for the tickets of all workers, whichever certificate is loaded. A key seals tickets for
// one period, then is kept for another to open them: no ticket is valid for longer than that.
// Whoever steals the keys of a period can read the early data of that one, and nothing else, since
// every session has a key exchange of its own. Safe to use from several threads.
class TicketKeys {
 public:
  static constexpr std::uint64_t kPeriodS = 7200;  // also the lifetime of a ticket

  // What to seal a ticket with now; nothing when there is no randomness to make a key from.
  // Times are those of one clock that does not go back.
  std::optional<TicketKey> sealing(std::uint64_t now_s);

  // What the ticket of that name can be opened with, if we still can.
  std::optional<TicketKey> opening(std::span<const std::uint8_t> name, std::uint64_t now_s);

 private:
  bool rotate_if_due(std::uint64_t now_s);

  std::mutex mutex_;
  std::optional<TicketKey> current_;
  std::optional<TicketKey> previous_;
};

}  // namespace epulse::tls
