#include "tools/load/recording.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>

namespace epulse::load {
namespace {

std::string address_text(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> host{};
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, host.data(), host.size());
    return fmt::format("[{}]:{}", host.data(), ntohs(v6.sin6_port));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
  inet_ntop(AF_INET, &v4.sin_addr, host.data(), host.size());
  return fmt::format("{}:{}", host.data(), ntohs(v4.sin_port));
}

}  // namespace

void MessageSample::add(const RecordedMessage& message) {
  const bool chosen = given_++ % every_ == 0;
  if (!chosen) return;
  if (messages_.size() == capacity_) thin_to(every_ * 2);
  if ((given_ - 1) % every_ == 0) messages_.push_back(message);
}

void MessageSample::thin_to(std::uint64_t every) {
  const std::uint64_t step = every / every_;
  for (std::size_t k = 0; k * step < messages_.size(); ++k) messages_[k] = messages_[k * step];
  messages_.resize((messages_.size() + step - 1) / step);
  every_ = every;
}

void Recording::opened(std::uint32_t index, int fd) {
  sockaddr_storage local{};
  sockaddr_storage peer{};
  socklen_t local_size = sizeof local;
  socklen_t peer_size = sizeof peer;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &local_size) != 0 ||
      getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0) {
    return;  // It is gone already.
  }
  connections.push_back({index, address_text(local), address_text(peer)});
}

}  // namespace epulse::load
