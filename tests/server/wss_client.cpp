#include "tests/server/wss_client.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>

#include "server/ws/client_handshake.hpp"

namespace epulse::testing {
namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::size_t kReadBytes = std::size_t{64} * 1024;

// The kernel interrupts waits of a thread that has made a ring and closed it, to tear it down.
template <typename Call>
int uninterrupted(Call&& call) {
  int result = 0;
  do {
    errno = 0;
    result = call();
  } while (result <= 0 && errno == EINTR);
  return result;
}

}  // namespace

WssClient::WssClient(int port, const ClientSettings& settings, int receive_buffer)
    : socket_(port, receive_buffer),
      context_(make_client_context(settings)),
      session_(std::make_unique<SessionPtr>()),
      ssl_(SSL_new(context_.get())) {
  const timeval patience{10, 0};
  setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(socket_.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  SSL_set_fd(ssl_.get(), socket_.fd());
  SSL_set_app_data(ssl_.get(), session_.get());
  if (uninterrupted([&] { return SSL_connect(ssl_.get()); }) != 1)
    throw std::runtime_error("no TLS: " + tls::take_error());
}

WssClient WssClient::open(int port, std::string_view path, int receive_buffer) {
  WssClient client(port, {}, receive_buffer);
  const std::string answer = client.request(ws::upgrade_request("localhost", path, kKey));
  if (ws::check_response(answer, kKey).verdict != ws::ResponseHead::Verdict::kAccepted) {
    throw std::runtime_error("refused: " + answer);
  }
  return client;
}

std::string WssClient::request(std::string_view text) {
  if (!write(bytes_of(text))) return {};
  std::string answer;
  while (answer.find("\r\n\r\n") == std::string::npos && fill()) answer += text_of(unread_);
  unread_ = {};
  return answer;
}

void WssClient::send(ws::Opcode opcode, std::string_view payload) {
  const Bytes frame = client_frame(opcode, bytes_of(payload));
  if (!write(frame)) throw std::runtime_error("cannot send: " + tls::take_error());
}

bool WssClient::write(const Bytes& bytes) {
  return uninterrupted([&] {
           return SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
         }) > 0;
}

bool WssClient::fill() {
  buffer_.resize(kReadBytes);
  const int n = uninterrupted(
      [&] { return SSL_read(ssl_.get(), buffer_.data(), static_cast<int>(buffer_.size())); });
  buffer_.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  unread_ = buffer_;
  return n > 0;
}

Received WssClient::receive() {
  while (true) {
    const ws::Event event = parser_.next(unread_);
    if (event.kind != ws::Event::Kind::kNeedMore) {
      return {event.kind, event.opcode, {event.payload.begin(), event.payload.end()}, event.code};
    }
    if (!fill()) return {};
  }
}

bool WssClient::ended() {
  while (fill()) {
  }
  return (static_cast<unsigned>(SSL_get_shutdown(ssl_.get())) & SSL_RECEIVED_SHUTDOWN) != 0;
}

}  // namespace epulse::testing
