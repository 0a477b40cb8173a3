#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "server/ws/handshake.hpp"
#include "server/ws/parser.hpp"
#include "tests/load/load_child.hpp"
#include "tests/server/test_client.hpp"

// The server's side of what epulse-load does, for tests that misbehave on it.
namespace epulse::testing {

inline Bytes server_frame(ws::Opcode opcode, const Bytes& payload) {
  const ws::HeaderBytes header = ws::encode_header({opcode, payload.size(), true, {}});
  Bytes frame(header.view().begin(), header.view().end());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

// A connection that epulse-load opens.
class FakeConnection {
 public:
  explicit FakeConnection(const Listener& listener) : fd_(listener.accept_one()) {
    std::string request;
    while (true) {
      const std::span<std::uint8_t> input = receive();
      if (input.empty()) return;
      request += text_of(input);
      const ws::RequestHead head = ws::parse_request(request);
      if (head.size == 0) continue;
      say(fd_, ws::upgrade_response(head.request.key).view());
      return;
    }
  }
  FakeConnection(const FakeConnection&) = delete;
  FakeConnection& operator=(const FakeConnection&) = delete;
  ~FakeConnection() { close(fd_); }

  int fd() const { return fd_; }

  // The messages in what comes next; nothing at the connection's end.
  std::optional<std::vector<Bytes>> read() {
    std::span<std::uint8_t> input = receive();
    if (input.empty()) return std::nullopt;
    std::vector<Bytes> messages;
    for (ws::Event event = parser_.next(input); event.kind == ws::Event::Kind::kMessage;
         event = parser_.next(input)) {
      messages.emplace_back(event.payload.begin(), event.payload.end());
    }
    return messages;
  }

 private:
  std::span<std::uint8_t> receive() {
    const ssize_t n = recv(fd_, buffer_.data(), buffer_.size(), 0);
    return std::span(buffer_).first(n > 0 ? static_cast<std::size_t>(n) : 0);
  }

  int fd_;
  Bytes buffer_ = Bytes(65536);
  ws::Parser parser_{ws::Role::kServer, 1U << 20U};
};

}  // namespace epulse::testing
