#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// Access tokens: who may connect, until when, signed with a key that the issuer shares with us.
//
//   USER "." EXPIRY "." MAC
//
// USER: 1 to 128 of A-Z a-z 0-9 _ - ~ ; EXPIRY: seconds since 1970, decimal; MAC: base64url
// (RFC 4648, 5) without padding of HMAC-SHA256 (RFC 2104) over everything before its dot.
namespace epulse::server {

struct TokenVerdict {
  std::string_view user;  // into the token; empty when it is refused
  std::string_view why;   // of a refusal

  explicit operator bool() const { return !user.empty(); }
};

// `now_s`: seconds since 1970.
TokenVerdict verify_token(std::string_view token, std::string_view key, std::uint64_t now_s);

std::string issue_token(std::string_view user, std::uint64_t expiry_s, std::string_view key);

// The token of a request: "Bearer TOKEN" in its Authorization field (RFC 6750, 2.1), else the
// parameter "token" of its query, for browsers, which cannot set that field. Empty: there is none.
std::string_view token_of(std::string_view authorization, std::string_view target);

}  // namespace epulse::server
