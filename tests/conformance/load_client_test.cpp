// epulse-load, the client that ships, against a server of this test: what RFC 6455 asks of a client
// beyond its frames.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <set>
#include <string>
#include <vector>

#include "server/ws/handshake.hpp"
#include "tests/conformance/server_endpoint.hpp"
#include "tests/conformance/wire.hpp"
#include "tests/load/load_child.hpp"

namespace epulse::conformance {
namespace {

constexpr int kDeadlineMs = 10'000;

// One connection of the client, seen from its server.
class Accepted {
 public:
  explicit Accepted(const testing::Listener& listener) : fd_(listener.accept_one()) {}
  Accepted(const Accepted&) = delete;
  Accepted& operator=(const Accepted&) = delete;
  ~Accepted() { ::close(fd_); }

  std::string request() {
    while (text_of(received_).find("\r\n\r\n") == std::string::npos && fill(kDeadlineMs)) {
    }
    std::string request = text_of(received_);
    received_.clear();
    return request;
  }
  // Whether it says nothing for a while.
  bool is_quiet() { return !fill(50) && received_.empty(); }
  void answer(const std::string& request) {
    const ws::RequestHead head = ws::parse_request(request);
    testing::say(fd_, ws::upgrade_response(head.request.key).view());
  }
  void say(const std::vector<Frame>& frames) { testing::say(fd_, wire(frames, Role::kClient)); }
  void say(const std::string& text) { testing::say(fd_, bytes_of(text)); }

  // The next frame; nothing at the end of the stream.
  std::optional<Frame> receive() {
    while (true) {
      if (auto frame = take_frame(received_)) return frame;
      if (!fill(kDeadlineMs)) return std::nullopt;
    }
  }
  bool has_ended() const { return ended_; }

 private:
  bool fill(int deadline_ms) {
    pollfd waiting{fd_, POLLIN, 0};
    if (poll(&waiting, 1, deadline_ms) <= 0) return false;
    Bytes buffer(65536);
    const ssize_t n = recv(fd_, buffer.data(), buffer.size(), 0);
    ended_ = n <= 0;
    if (!ended_) received_.insert(received_.end(), buffer.begin(), buffer.begin() + n);
    return !ended_;
  }

  int fd_;
  Bytes received_;
  bool ended_ = false;
};

// epulse-load with one connection and what it says to us.
struct LoadClient {
  explicit LoadClient(std::vector<std::string> options = {})
      : load(testing::load_command(listener.url(), [&] {
          options.insert(options.end(), {"-c", "1", "-d", "0.5", "-j"});
          return options;
        }())) {}

  testing::Listener listener;
  testing::Child load;
};

// 4.1: "the client MUST wait for a response from the server before sending any further data".
TEST(Rfc6455_4_1, LoadWaitsForTheAnswer) {
  const LoadClient client;
  Accepted server(client.listener);
  const std::string request = server.request();
  EXPECT_TRUE(request.ends_with("\r\n\r\n"));
  EXPECT_TRUE(server.is_quiet());
  server.answer(request);
  EXPECT_TRUE(server.receive());
}

// 4.1, 7: "The nonce MUST be selected randomly for each connection."
TEST(Rfc6455_4_1, LoadPicksAKeyForEachConnection) {
  std::set<std::string> keys;
  for (int i = 0; i < 5; ++i) {
    const LoadClient client;
    const std::string request = Accepted(client.listener).request();
    keys.emplace(ws::parse_request(request).request.key);
  }
  EXPECT_EQ(keys.size(), 5U);
}

// 4.1: "the client MUST _Fail the WebSocket Connection_": it ends the stream and sends no frame.
TEST(Rfc6455_4_1, LoadFailsForAWrongAnswer) {
  LoadClient client;
  {
    Accepted server(client.listener);
    server.request();
    server.say(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n");
    EXPECT_FALSE(server.receive());
    EXPECT_TRUE(server.has_ended());
  }
  EXPECT_EQ(client.load.wait(), 2);
}

// 5.1 and 5.3: "a client MUST mask all frames", with "a fresh masking key" that is "derived from a
// strong source of entropy", which here is the kernel's.
TEST(Rfc6455_5_3, LoadMasksEveryFrameWithAKeyOfItsOwn) {
  const LoadClient client({"-r", "1000"});
  Accepted server(client.listener);
  server.answer(server.request());
  std::set<Bytes> keys;
  std::size_t frames = 0;
  while (const std::optional<Frame> frame = server.receive()) {
    EXPECT_EQ(frame->masked, true);
    keys.insert(frame->key);
    ++frames;
    if (frame->opcode == 8) break;
    server.say({binary(frame->payload)});
  }
  EXPECT_GE(frames, 100U);
  EXPECT_GE(keys.size() + 1, frames) << "by chance two may be alike in a million";
}

// Echoes the messages that come before it.
std::optional<Frame> next_control(Accepted& server) {
  std::optional<Frame> frame = server.receive();
  for (; frame && frame->opcode < 8; frame = server.receive()) server.say({binary(frame->payload)});
  return frame;
}

// 5.5.2: "an endpoint MUST send a Pong frame in response".
TEST(Rfc6455_5_5_2, LoadAnswersPings) {
  const LoadClient client;
  Accepted server(client.listener);
  server.answer(server.request());
  server.say({ping("are you there")});
  const std::optional<Frame> answer = next_control(server);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->opcode, 10U);
  EXPECT_EQ(answer->payload, "are you there");
  EXPECT_EQ(answer->masked, true);
}

void expect_masked_close(Accepted& server, int code) {
  const std::optional<Frame> answer = next_control(server);
  ASSERT_TRUE(answer) << "no close frame";
  EXPECT_EQ(answer->opcode, 8U);
  EXPECT_EQ(close_code(*answer), code);
  EXPECT_EQ(answer->masked, true);
}

// 5.5.1: "the endpoint MUST send a Close frame in response".
TEST(Rfc6455_5_5_1, LoadAnswersCloseFrames) {
  const LoadClient client;
  Accepted server(client.listener);
  server.answer(server.request());
  server.say({close(1001, "bye")});
  expect_masked_close(server, 1001);
  EXPECT_FALSE(server.receive());
  EXPECT_TRUE(server.has_ended());
}

// 5.1: "A client MUST close a connection if it detects a masked frame", and 7.1.7, whatever the
// breach is.
TEST(Rfc6455_5_1, LoadClosesForAMaskedFrame) {
  Frame masked = binary("masked");
  masked.masked = true;
  for (const Frame& breach : {masked, reserved(binary("x"), 1), continuation("x")}) {
    const LoadClient client;
    Accepted server(client.listener);
    server.answer(server.request());
    server.say({breach});
    expect_masked_close(server, 1002);
    EXPECT_FALSE(server.receive());
    EXPECT_TRUE(server.has_ended());
  }
}

// 7.1.2: at the end it starts the closing handshake; 7.1.1: "it SHOULD wait for a TCP Close from
// the server".
TEST(Rfc6455_7_1_2, LoadEndsWithACloseFrame) {
  LoadClient client;
  {
    Accepted server(client.listener);
    server.answer(server.request());
    expect_masked_close(server, 1000);
    EXPECT_TRUE(server.is_quiet());
    EXPECT_FALSE(server.has_ended());
    server.say({close(1000)});
    EXPECT_FALSE(server.receive());
  }
  EXPECT_NE(client.load.wait(), -1);
}

}  // namespace
}  // namespace epulse::conformance
