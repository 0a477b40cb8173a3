#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/ws/client_handshake.hpp"
#include "server/ws/compression.hpp"
#include "server/ws/parser.hpp"

namespace epulse::testing {

using Bytes = std::vector<std::uint8_t>;

inline Bytes bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}
inline std::string text_of(std::span<const std::uint8_t> bytes) {
  return {bytes.begin(), bytes.end()};
}

// A frame as a client sends it.
Bytes client_frame(ws::Opcode opcode, std::span<const std::uint8_t> payload, bool fin = true,
                   bool compressed = false);

// A message or control frame that came in.
struct Received {
  ws::Event::Kind kind =
      ws::Event::Kind::kNeedMore;  // kNeedMore: nothing came, or the stream ended
  ws::Opcode opcode = ws::Opcode::kText;
  Bytes payload;
  ws::CloseCode code = ws::CloseCode::kNoStatus;
};

// A blocking WebSocket client whose every wait has a deadline.
class TestClient {
 public:
  // Only connects. A receive buffer of `receive_buffer` bytes makes it a slow reader; 0: the
  // default.
  explicit TestClient(int port, int receive_buffer = 0);
  TestClient(TestClient&& other) noexcept;
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;
  TestClient& operator=(TestClient&&) = delete;
  ~TestClient();

  // Connects and shakes hands; throws when refused. Offers nothing unless told.
  static TestClient open(int port, std::string_view path = "/", int receive_buffer = 0,
                         const ws::UpgradeOffer& offer = {});
  // The same with a request of one's own, whose answer must fit `offer`.
  static TestClient shake_hands(int port, std::string_view request, const ws::UpgradeOffer& offer,
                                int receive_buffer = 0);

  // What the server answers to a request, head and body, until the stream ends or a whole 101 is
  // here.
  std::string request(std::string_view text);

  void send_raw(std::span<const std::uint8_t> bytes);
  void send(ws::Opcode opcode, std::string_view payload, bool fin = true);
  // A whole message, compressed where that was agreed on; in frames of `fragment` bytes unless that
  // is 0.
  void send_message(ws::Opcode opcode, std::span<const std::uint8_t> message,
                    std::size_t fragment = 0);
  // Sends as much as the socket takes at once.
  std::size_t send_some(std::span<const std::uint8_t> bytes) const;

  Received receive(std::chrono::milliseconds deadline = std::chrono::milliseconds(10'000));
  // What comes next, as it is on the wire; nothing at the end of the stream, or when it does not
  // come in time.
  Bytes receive_raw(std::chrono::milliseconds deadline = std::chrono::milliseconds(10'000));
  // Reads until the stream ends; false when it does not in time.
  bool ended(std::chrono::milliseconds deadline = std::chrono::milliseconds(10'000));

  // Whether the stream ended with a reset and not with FIN.
  bool was_reset() const { return reset_; }

  int fd() const { return fd_; }
  const std::optional<ws::DeflateTerms>& deflate() const { return deflate_; }
  const std::string& subprotocol() const { return subprotocol_; }
  std::size_t bytes_in() const { return bytes_in_; }

 private:
  bool fill(std::chrono::steady_clock::time_point deadline);

  int fd_ = -1;
  std::size_t bytes_in_ = 0;
  std::string subprotocol_;
  std::optional<ws::DeflateTerms> deflate_;
  std::unique_ptr<ws::Compression> compression_;
  ws::DeflateSender sender_;
  ws::Parser parser_{ws::Role::kClient, std::uint32_t{1} << 30U};
  Bytes buffer_;
  std::span<std::uint8_t> unread_;
  bool end_ = false;
  bool reset_ = false;
};

// Asks until it is so, or the time is over; whether it is.
template <typename Condition>
bool eventually(Condition condition,
                std::chrono::milliseconds limit = std::chrono::milliseconds(10'000)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// That the server closes with this code, and the stream ends.
void expect_close(TestClient& client, ws::CloseCode code);

// Data segments that a client has received: without Nagle's algorithm, one for each send of the
// server.
std::uint32_t segments_in(const TestClient& client);

}  // namespace epulse::testing
