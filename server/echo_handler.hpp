#pragma once

#include <cstdint>
#include <string_view>

#include "server/quality.hpp"
#include "server/session/socket.hpp"

namespace epulse::server {

// What epulse-ws does with messages: echo, or under /topic/NAME publish and subscribe. Who asks for
// /topic/PREFIX* hears all topics whose names begin so, and may not publish.
class EchoHandler final : public SocketHandler {
 public:
  struct Options {
    std::uint64_t delay_ns = 0;        // burnt per message, for demonstrations
    bool quality_reports = false;      // texts that are reports (quality.hpp) are for us
    QualityLimits at_most{65536, 30};  // what may be promised in answer
  };

  explicit EchoHandler(const Options& options) : options_(options) {}

  Reply on_request(const ws::Request& request) override;
  void on_open(Socket socket, const ws::Request& request) override;
  void on_message(Socket socket, ws::Opcode opcode, std::span<std::uint8_t> message) override;

 private:
  Options options_;
};

}  // namespace epulse::server
