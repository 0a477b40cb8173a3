#pragma once

#include <cstdint>

namespace epulse::ws {

// RFC 6455, 7.4.1, and the registry of IANA.
enum class CloseCode : std::uint16_t {
  kNormal = 1000,
  kGoingAway = 1001,
  kProtocolError = 1002,
  kUnsupportedData = 1003,
  kNoStatus = 1005,  // never on the wire: the close frame had no code
  kAbnormal = 1006,  // never on the wire: there was no close frame
  kInvalidPayload = 1007,
  kPolicyViolation = 1008,
  kTooBig = 1009,
  kTryAgainLater = 1013,
};

// Whether an endpoint may send this code: 1004 to 1006 and 1015 are reserved, 1016 to 2999
// unassigned.
constexpr bool may_be_sent(std::uint16_t code) {
  if (code >= 3000 && code <= 4999) return true;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

}  // namespace epulse::ws
