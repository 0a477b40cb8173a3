#pragma once

#include <cstdint>
#include <string_view>

#include "server/session/socket.hpp"

namespace epulse::server {

// What epulse-ws does with messages: echo, or under /topic/NAME publish and subscribe. Who asks for
// /topic/PREFIX* hears all topics whose names begin so, and may not publish.
class EchoHandler final : public SocketHandler {
 public:
  explicit EchoHandler(std::uint64_t delay_ns) : delay_ns_(delay_ns) {}

  Reply on_request(const ws::Request& request) override;
  void on_open(Socket socket, const ws::Request& request) override;
  void on_message(Socket socket, ws::Opcode opcode, std::span<std::uint8_t> message) override;

 private:
  std::uint64_t delay_ns_;  // burnt per message, for demonstrations
};

}  // namespace epulse::server
