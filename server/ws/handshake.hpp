#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "server/ws/deflate_terms.hpp"
#include "server/ws/frame.hpp"
#include "server/ws/list_field.hpp"

// The server's half of the opening handshake (RFC 6455, 4.2).
namespace epulse::ws {

struct Request {
  std::string_view method;
  std::string_view target;  // path and query, also of an absolute URI
  std::string_view host;
  std::string_view key;
  std::string_view version;
  std::string_view origin;
  std::string_view authorization;
  ListField upgrade;
  ListField connection;
  ListField extensions;
  ListField protocols;
};

struct RequestHead {
  std::size_t size = 0;  // bytes of the head; 0: not all here yet
  int status = 0;        // 0: well formed; else the answer that refuses it
  Request request;       // views into the buffer
};

// Reads a request without allocation. Refuses 400 what is malformed, 405 what is not GET, 413 a
// body, 431 a head above kMaxHeadBytes or kMaxFields, or a list above ListField::kMaxLines.
RequestHead parse_request(std::string_view buffer);

// 101 when the request opens a WebSocket; 426 when it does not ask for one, or not for version 13;
// 400 when it asks wrongly, which includes lists of extensions or sub-protocols that break their
// grammar.
int check_upgrade(const Request& request);

// Sec-WebSocket-Accept for a Sec-WebSocket-Key.
std::array<char, 28> accept_key(std::string_view key);

// What both ends agreed on besides the upgrade itself.
struct Agreement {
  std::string_view protocol;  // at most kMaxProtocolChars; empty: none
  std::optional<DeflateTerms> deflate;
};

using UpgradeResponse = InlineBytes<448>;
UpgradeResponse upgrade_response(std::string_view key, const Agreement& agreed = {});

// Any other answer, after which the connection ends.
std::string http_response(int status, std::string_view body);

}  // namespace epulse::ws
