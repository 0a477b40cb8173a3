#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace epulse::server {

// An IPv4 or IPv6 address with a port.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  std::uint16_t port() const;
  std::string text() const;  // "127.0.0.1:9001", "[::1]:9001"
};

// Reads what Address::text() writes. Throws Error.
Address parse_address(std::string_view text);

// The address a socket is bound to.
Address local_address(int fd);

// The address it is connected with; of size 0 when it is not any more.
Address remote_address(int fd);

}  // namespace epulse::server
