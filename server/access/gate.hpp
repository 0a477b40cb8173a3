#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/ws/handshake.hpp"

namespace epulse::server {

// Whom a request lets in by what it says of itself.
struct GateOptions {
  // Of the pages whose scripts may connect, as browsers write them: scheme://host[:port]. Empty:
  // any page.
  std::vector<std::string> origins{};
  std::string token_key{};  // what tokens are signed with; empty: none is asked for
};

struct GateVerdict {
  int status = 101;      // 401: no valid token; 403: of a page that may not
  std::string_view why;  // of a refusal
};

// `now_s`: seconds since 1970. A request without Origin is not of a browser's page (RFC 6455, 10.2)
// and passes: who can leave the field out could write anything into it as well.
GateVerdict check_gate(const GateOptions& options, const ws::Request& request, std::uint64_t now_s);

}  // namespace epulse::server
