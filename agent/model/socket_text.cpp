#include "agent/model/socket_text.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>

namespace epulse::model {
namespace {

bool is_inet(const socket_record& socket) {
  return socket.family == AF_INET || socket.family == AF_INET6;
}

std::string inet_kind(const socket_record& socket) {
  const char* version = socket.family == AF_INET6 ? "6" : "";
  switch (socket.protocol) {
    case IPPROTO_TCP:
      return fmt::format("tcp{}{}", version, socket.state == TCP_LISTEN ? " listen" : "");
    case IPPROTO_UDP:
      return fmt::format("udp{}", version);
    case IPPROTO_SCTP:
      return fmt::format("sctp{}", version);
    case IPPROTO_UDPLITE:
      return fmt::format("udplite{}", version);
    case IPPROTO_MPTCP:
      return fmt::format("mptcp{}{}", version, socket.state == TCP_LISTEN ? " listen" : "");
    default:
      return fmt::format("{}{} protocol {}", socket.type == SOCK_RAW ? "raw" : "ip", version,
                         socket.protocol);
  }
}

const char* type_text(uint16_t type) {
  switch (type) {
    case SOCK_STREAM:
      return "stream";
    case SOCK_DGRAM:
      return "dgram";
    case SOCK_SEQPACKET:
      return "seqpacket";
    case SOCK_RAW:
      return "raw";
    default:
      return "other";
  }
}

std::string family_text(uint16_t family) {
  switch (family) {
    case AF_UNIX:
      return "unix";
    case AF_NETLINK:
      return "netlink";
    case AF_PACKET:
      return "packet";
    case AF_VSOCK:
      return "vsock";
    default:
      return fmt::format("family {}", family);
  }
}

std::string endpoint_text(const socket_record& socket, const uint8_t* address, uint16_t port) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(socket.family, address, text.data(), text.size());
  if (socket.family == AF_INET6) return fmt::format("[{}]:{}", text.data(), port);
  return fmt::format("{}:{}", text.data(), port);
}

}  // namespace

std::string kind_text(const socket_record& socket) {
  if (is_inet(socket)) return inet_kind(socket);
  return fmt::format("{} {}", family_text(socket.family), type_text(socket.type));
}

std::string local_text(const socket_record& socket) {
  return is_inet(socket) ? endpoint_text(socket, socket.local_address, socket.local_port) : "-";
}

std::string peer_text(const socket_record& socket) {
  if (!is_inet(socket) || socket.remote_port == 0) return "-";
  return endpoint_text(socket, socket.remote_address, socket.remote_port);
}

std::string bytes_text(double bytes) {
  if (bytes < 1024) return fmt::format("{:.0f}B", bytes);
  bytes /= 1024;
  for (const char* unit : {"K", "M"}) {
    if (bytes < 1023.5) {
      const int digits = bytes < 9.995 ? 2 : bytes < 99.95 ? 1 : 0;
      return fmt::format("{:.{}f}{}", bytes, digits, unit);
    }
    bytes /= 1024;
  }
  return fmt::format("{:.1f}G", bytes);
}

}  // namespace epulse::model
