#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

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
  socklen_t address_size = 0;
};

// Throws Error. Does not look the host up.
Target parse_url(std::string_view url);

// Fills in the address. Throws Error.
void resolve(Target& target);

}  // namespace epulse::load
