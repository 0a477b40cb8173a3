#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "server/ws/frame.hpp"
#include "server/ws/list_field.hpp"

// How two ends agree on permessage-deflate (RFC 7692, 7.1).
namespace epulse::ws {

constexpr std::uint8_t kMaxWindowBits = 15;
// 7.1.2 has 8 as well, but zlib's raw deflate refuses it. uWebSockets and Node take 9 then and hope
// that the peer's window is larger than agreed; a client that wants 8 from us is declined instead.
// The other way round it costs nothing: any window can inflate what a smaller one deflated, and who
// may not use more than 8 itself sends its messages uncompressed, which 6.1 leaves to the sender.
constexpr std::uint8_t kMinWindowBits = 9;

// The parameters of one permessage-deflate element: an offer, or the answer to one.
struct DeflateTerms {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::uint8_t server_max_window_bits = 0;  // 8 to 15; 0: not there
  std::uint8_t client_max_window_bits = 0;  // same; 15 also for an offer's without a value

  friend bool operator==(const DeflateTerms&, const DeflateTerms&) = default;
};

// What one end keeps to when it compresses, and the other may rely on when it inflates.
struct DeflateSide {
  bool context_takeover = true;  // a message may refer to earlier ones
  std::uint8_t window_bits = kMaxWindowBits;
};
DeflateSide server_side(const DeflateTerms& agreed);
DeflateSide client_side(const DeflateTerms& agreed);

// What a server is willing to do.
struct DeflatePolicy {
  bool context_takeover = false;
  std::uint8_t window_bits = kMaxWindowBits;  // at most, of either side that takes its context over
};

// The answer to the first offer that can be accepted; nothing when there is none. An offer that the
// server must decline (7: unknown, repeated or wrong parameters) or cannot serve is passed over.
std::optional<DeflateTerms> answer_offers(const ListField& offers, const DeflatePolicy& policy);

// What a client has to keep to after `answer` to its `offer`; nothing when it has to fail the
// connection (7): another extension, two answers, a wrong, unknown, repeated or missing parameter.
std::optional<DeflateTerms> check_answer(const ListField& answer, const DeflateTerms& offer);

// As an element of Sec-WebSocket-Extensions.
using DeflateText = InlineBytes<128>;
DeflateText deflate_text(const DeflateTerms& terms);

}  // namespace epulse::ws
