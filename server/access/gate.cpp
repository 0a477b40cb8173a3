#include "server/access/gate.hpp"

#include <algorithm>

#include "server/access/token.hpp"
#include "server/ws/http.hpp"

namespace epulse::server {

GateVerdict check_gate(const GateOptions& options, const ws::Request& request,
                       std::uint64_t now_s) {
  const bool from_page = request.origin.data() != nullptr;
  // Scheme and host are compared without regard to case (RFC 6454, 4); all else is digits.
  if (from_page && !options.origins.empty() &&
      std::none_of(options.origins.begin(), options.origins.end(), [&](const std::string& origin) {
        return ws::equal_ignoring_case(origin, request.origin);
      })) {
    return {403, "this origin may not connect"};
  }
  if (options.token_key.empty()) return {};
  const TokenVerdict verdict =
      verify_token(token_of(request.authorization, request.target), options.token_key, now_s);
  return verdict ? GateVerdict{} : GateVerdict{401, verdict.why};
}

}  // namespace epulse::server
