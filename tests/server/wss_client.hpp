#pragma once

#include <string>
#include <string_view>

#include "tests/server/test_client.hpp"
#include "tests/server/tls_testing.hpp"

namespace epulse::testing {

// A blocking WebSocket client over TLS, whose waits end after ten seconds.
class WssClient {
 public:
  // Connects and shakes hands in TLS; throws when refused.
  explicit WssClient(int port, const ClientSettings& settings = {}, int receive_buffer = 0);
  WssClient(WssClient&&) = default;

  // Also opens a WebSocket.
  static WssClient open(int port, std::string_view path = "/", int receive_buffer = 0);

  // The head of the answer to a request, and what of its body came with it.
  std::string request(std::string_view text);

  void send(ws::Opcode opcode, std::string_view payload);
  Received receive();
  // Reads until the stream ends: with close_notify, as it should.
  bool ended();

  std::string server_name() const { return name_of_peer(*ssl_); }
  int fd() const { return socket_.fd(); }

 private:
  bool write(const Bytes& bytes);
  bool fill();

  TestClient socket_;
  ContextPtr context_;
  std::unique_ptr<SessionPtr> session_;
  tls::SslPtr ssl_;
  ws::Parser parser_{ws::Role::kClient, std::uint32_t{1} << 30U};
  Bytes buffer_;
  std::span<std::uint8_t> unread_;
};

}  // namespace epulse::testing
