#include "server/engine/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "server/error.hpp"

namespace epulse::server {
namespace {

template <typename T>
T& as(sockaddr_storage& storage) {
  return reinterpret_cast<T&>(storage);
}

template <typename T>
const T& as(const sockaddr_storage& storage) {
  return reinterpret_cast<const T&>(storage);
}

[[noreturn]] void refuse(std::string_view text) {
  fail("cannot listen on '{}': not an address and port; write it as 127.0.0.1:9001 or [::1]:9001",
       text);
}

}  // namespace

std::uint16_t Address::port() const {
  return ntohs(storage.ss_family == AF_INET6 ? as<sockaddr_in6>(storage).sin6_port
                                             : as<sockaddr_in>(storage).sin_port);
}

std::string Address::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (storage.ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &as<sockaddr_in6>(storage).sin6_addr, buffer.data(), buffer.size());
    return fmt::format("[{}]:{}", buffer.data(), port());
  }
  inet_ntop(AF_INET, &as<sockaddr_in>(storage).sin_addr, buffer.data(), buffer.size());
  return fmt::format("{}:{}", buffer.data(), port());
}

Address parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) refuse(text);
  std::string host(text.substr(0, colon));
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), port);
  if (error != std::errc{} || end != digits.end()) refuse(text);

  Address address;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    auto& in6 = as<sockaddr_in6>(address.storage);
    if (inet_pton(AF_INET6, host.c_str(), &in6.sin6_addr) != 1) refuse(text);
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    address.size = sizeof in6;
    return address;
  }
  auto& in = as<sockaddr_in>(address.storage);
  if (inet_pton(AF_INET, host.c_str(), &in.sin_addr) != 1) refuse(text);
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  address.size = sizeof in;
  return address;
}

Address local_address(int fd) {
  Address address;
  address.size = sizeof address.storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) {
    fail("cannot read the address of a listening socket: {}", errno_text(errno));
  }
  return address;
}

Address remote_address(int fd) {
  Address address;
  address.size = sizeof address.storage;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) return {};
  return address;
}

}  // namespace epulse::server
