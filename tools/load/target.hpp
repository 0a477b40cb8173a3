#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>
#include <vector>

namespace epulse::load {

// What ws://HOST:PORT/PATH, wss://HOST:PORT/PATH or tcp://HOST:PORT names.
struct Target {
  bool raw = false;       // tcp: whatever is sent comes back as it is
  std::string host;       // without the brackets of IPv6
  std::string port;       // as text
  std::string path;       // with the query
  std::string authority;  // HOST:PORT as in the URL: the Host field
  bool tls = false;       // wss

  sockaddr_storage address{};
  socklen_t address_size = 0;               // of the sources, too
  std::vector<sockaddr_storage> sources{};  // to connect from, in turn; empty: any
};

// Throws Error. Does not look the host up.
Target parse_url(std::string_view url);

// Fills in the address. Throws Error.
void resolve(Target& target);

// Fills in the sources, of the same kind as the address, which is known. Throws Error.
void resolve_sources(Target& target, const std::vector<std::string>& sources);

}  // namespace epulse::load
