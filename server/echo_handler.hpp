#pragma once

#include <cstddef>
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
  void on_close(Socket socket, ws::CloseCode code) override;

 private:
  struct State;

  State& state_of(Socket socket);
  bool take_report(Socket socket, std::span<const std::uint8_t> text);
  void consider(Socket socket, ws::Opcode opcode, std::span<const std::uint8_t> message);

  Options options_;
  bool only_echoes_ = options_.delay_ns == 0 && !options_.quality_reports;
  std::size_t states_ = 0;  // sockets that have one
};

}  // namespace epulse::server
