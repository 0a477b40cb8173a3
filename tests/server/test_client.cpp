#include "tests/server/test_client.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/tcp.h>  // has tcpi_data_segs_in, which glibc lacks
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace epulse::testing {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr ws::MaskKey kMask = {0x37, 0xfa, 0x21, 0x3d};
constexpr std::size_t kReadBytes = std::size_t{256} * 1024;

// The kernel interrupts waits of a thread that has made a ring and closed it, to tear it down.
bool wait_for(int fd, short events, int timeout_ms) {
  pollfd waiting{fd, events, 0};
  int ready = 0;
  do {
    ready = ::poll(&waiting, 1, timeout_ms);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

}  // namespace

Bytes client_frame(ws::Opcode opcode, std::span<const std::uint8_t> payload, bool fin,
                   bool compressed) {
  const ws::HeaderBytes header =
      ws::encode_header({opcode, payload.size(), fin, kMask, compressed});
  Bytes frame(header.view().begin(), header.view().end());
  frame.insert(frame.end(), payload.begin(), payload.end());
  ws::apply_mask(std::span(frame).subspan(header.size), kMask);
  return frame;
}

TestClient::TestClient(int port, int receive_buffer)
    : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (receive_buffer > 0) {
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("cannot connect");
  }
}

TestClient::TestClient(TestClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      bytes_in_(other.bytes_in_),
      subprotocol_(std::move(other.subprotocol_)),
      deflate_(other.deflate_),
      compression_(std::move(other.compression_)),
      sender_(std::move(other.sender_)),
      parser_(std::move(other.parser_)),
      buffer_(std::move(other.buffer_)),
      unread_(other.unread_),
      end_(other.end_),
      reset_(other.reset_) {}

TestClient::~TestClient() {
  if (fd_ >= 0) close(fd_);
}

TestClient TestClient::open(int port, std::string_view path, int receive_buffer,
                            const ws::UpgradeOffer& offer) {
  return shake_hands(port, ws::upgrade_request("localhost", path, kKey, offer), offer,
                     receive_buffer);
}

TestClient TestClient::shake_hands(int port, std::string_view request,
                                   const ws::UpgradeOffer& offer, int receive_buffer) {
  TestClient client(port, receive_buffer);
  const std::string answer = client.request(request);
  const ws::ResponseHead head = ws::check_response(answer, kKey, offer);
  if (head.verdict != ws::ResponseHead::Verdict::kAccepted) {
    throw std::runtime_error("refused: " + answer);
  }
  client.subprotocol_ = head.agreed.protocol;
  client.deflate_ = head.agreed.deflate;
  if (client.deflate_) {
    client.compression_ = std::make_unique<ws::Compression>(
        ws::CompressionOptions{.window_bits = 15, .min_bytes = 0});
    client.sender_ = ws::DeflateSender(*client.compression_, ws::client_side(*client.deflate_));
    client.parser_.expect_deflate(client.compression_->inflaters(),
                                  ws::server_side(*client.deflate_));
  }
  return client;
}

std::string TestClient::request(std::string_view text) {
  send_raw(bytes_of(text));
  std::string answer;
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (true) {
    const std::size_t end = answer.find("\r\n\r\n");
    if (answer.starts_with("HTTP/1.1 101") && end != std::string::npos) {
      // What follows the head are frames.
      const std::size_t extra = answer.size() - end - 4;
      unread_ = std::span(buffer_).last(extra);
      return answer.substr(0, end + 4);
    }
    unread_ = {};
    if (!fill(deadline)) return answer;
    answer += text_of(buffer_);
  }
}

void TestClient::send_raw(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    if (!wait_for(fd_, POLLOUT, 10'000)) throw std::runtime_error("cannot send in time");
    const std::size_t sent = send_some(bytes);
    bytes = bytes.subspan(sent);
    if (sent == 0 && errno != EAGAIN) return;  // Gone; what it said before can still be read.
  }
}

std::size_t TestClient::send_some(std::span<const std::uint8_t> bytes) const {
  const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

void TestClient::send(ws::Opcode opcode, std::string_view payload, bool fin) {
  send_raw(client_frame(opcode, bytes_of(payload), fin));
}

void TestClient::send_message(ws::Opcode opcode, std::span<const std::uint8_t> message,
                              std::size_t fragment) {
  const ws::DeflateSender::Payload encoded = sender_.encode(message);
  const std::size_t step = fragment == 0 ? encoded.bytes.size() : fragment;
  Bytes frames;
  std::size_t at = 0;
  do {
    const auto bytes = encoded.bytes.subspan(at, std::min(step, encoded.bytes.size() - at));
    const bool first = at == 0;
    at += bytes.size();
    const Bytes frame = client_frame(first ? opcode : ws::Opcode::kContinuation, bytes,
                                     at == encoded.bytes.size(), encoded.compressed && first);
    frames.insert(frames.end(), frame.begin(), frame.end());
  } while (at < encoded.bytes.size());
  send_raw(frames);
}

bool TestClient::fill(Clock::time_point deadline) {
  if (end_) return false;
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  if (left <= 0 || !wait_for(fd_, POLLIN, static_cast<int>(left))) return false;
  buffer_.resize(kReadBytes);
  const ssize_t n = recv(fd_, buffer_.data(), buffer_.size(), 0);
  end_ = n <= 0;
  reset_ = n < 0;
  buffer_.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  bytes_in_ += buffer_.size();
  unread_ = buffer_;
  return !end_;
}

Received TestClient::receive(std::chrono::milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  while (true) {
    const ws::Event event = parser_.next(unread_);
    if (event.kind != ws::Event::Kind::kNeedMore) {
      return {event.kind, event.opcode, {event.payload.begin(), event.payload.end()}, event.code};
    }
    if (!fill(end)) return {};
  }
}

Bytes TestClient::receive_raw(std::chrono::milliseconds deadline) {
  if (unread_.empty() && !fill(Clock::now() + deadline)) return {};
  Bytes bytes(unread_.begin(), unread_.end());
  unread_ = {};
  return bytes;
}

bool TestClient::ended(std::chrono::milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  while (fill(end)) {
  }
  return end_;
}

void expect_close(TestClient& client, ws::CloseCode code) {
  const Received answer = client.receive();
  EXPECT_EQ(answer.kind, ws::Event::Kind::kClose);
  EXPECT_EQ(answer.code, code);
  EXPECT_TRUE(client.ended());
}

std::uint32_t segments_in(const TestClient& client) {
  tcp_info info{};
  socklen_t size = sizeof info;
  getsockopt(client.fd(), IPPROTO_TCP, TCP_INFO, &info, &size);
  return info.tcpi_data_segs_in;
}

}  // namespace epulse::testing
