#include "tools/load/client.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "tools/load/clock.hpp"
#include "tools/load/error.hpp"
#include "tools/load/one_writer.hpp"

namespace epulse::load {
namespace {

constexpr std::size_t kMaxUnsentBytes = std::size_t{8} * 1024 * 1024;
constexpr std::size_t kMaxUnsentBytesOfAll = std::size_t{256} * 1024 * 1024;
constexpr std::size_t kMaxInFlightOfAll = 8'000'000;
constexpr std::uint32_t kMinMaxMessage = 1024 * 1024;

}  // namespace

ws::MaskKey ClientContext::random_mask() {
  return std::bit_cast<ws::MaskKey>(random.next());
}

// A closed loop has no more under way than the windows that were asked for.
std::size_t ClientContext::most_unsent_bytes(const Options& options) {
  const std::size_t share = std::min(kMaxUnsentBytes, kMaxUnsentBytesOfAll / options.connections);
  const std::size_t window = options.window * (options.sizes.max() + ws::kMaxHeaderBytes);
  return options.open_loop() ? share : std::max(share, window);
}

std::size_t ClientContext::most_in_flight(const Options& options) {
  return std::max<std::size_t>(options.window, kMaxInFlightOfAll / options.connections);
}

Client::Client(std::uint32_t index, std::uint32_t tag, std::uint32_t max_bytes, bool raw)
    : parser_(raw ? ws::Role::kServer : ws::Role::kClient, std::max(max_bytes, kMinMaxMessage)),
      index_(index),
      tag_(tag) {}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

void Client::take_part(Broadcast& broadcast) {
  subscriber_.emplace(broadcast, index_);
  if (index_ < broadcast.publishers()) publication_ = &broadcast.publication(index_);
}

// Events.

void Client::on_event(std::uint32_t events, ClientContext& context) {
  if (state_ == State::kDead) return;
  if (state_ == State::kConnecting) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) connected(context);
  } else {
    if ((events & EPOLLOUT) != 0) send_unsent(context);
    if (state_ != State::kDead && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) receive(context);
  }
  flush(context);
}

void Client::receive(ClientContext& context) {
  const ssize_t n = recv(fd_, context.input.data(), context.input.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return broken_pipe(n < 0 ? errno : ECONNRESET, context);
  context.now_ns = clock_ns();
  const auto input = std::span(context.input).first(static_cast<std::size_t>(n));
  tls_ ? receive_tls(input, context) : take_plain(input, context);
}

void Client::receive_tls(std::span<const std::uint8_t> cipher, ClientContext& context) {
  while (!cipher.empty() && state_ != State::kDead) {
    const std::span<std::uint8_t> plain = tls_->read(cipher, *this).bytes;
    const bool failed = tls_->state() == tls::Stream::State::kFailed;
    if (failed && state_ == State::kHandshake) {
      return fail_opening(ErrorKind::kTls, tls_->error(), context);
    }
    if (tls_->state() == tls::Stream::State::kOpen && state_ == State::kHandshake && key_.empty()) {
      tls_opened(context);
    }
    if (!plain.empty()) take_plain(plain, context);
    if (failed) return broken_pipe(EPROTO, context);
  }
}

void Client::take_plain(std::span<std::uint8_t> input, ClientContext& context) {
  if (state_ == State::kHandshake) return shake_hands(input, context);
  read_frames(input, context);
}

void Client::read_frames(std::span<std::uint8_t> input, ClientContext& context) {
  while (state_ == State::kOpen || state_ == State::kClosing) {
    if (take_answers(input, context)) continue;
    const ws::Event event = parser_.next(input);
    if (event.kind == ws::Event::Kind::kNeedMore) return;
    handle(event, context);
  }
}

void Client::handle(const ws::Event& event, ClientContext& context) {
  switch (event.kind) {
    case ws::Event::Kind::kMessage:
      return subscriber_ ? take_delivery(event, context) : check_answer(event, context);
    case ws::Event::Kind::kPing:
      return answer_ping(event.payload, context);
    case ws::Event::Kind::kClose:
      return state_ == State::kClosing ? die(context)
                                       : close_and_lose(event.code, ErrorKind::kClosed, context);
    case ws::Event::Kind::kViolation:
      return close_and_lose(event.code, ErrorKind::kProtocol, context);
    case ws::Event::Kind::kPong:
    case ws::Event::Kind::kNeedMore:
      return;
  }
}

// Sending.

// RFC 6455, 5.5.3: not every ping needs its pong. None is added to what a server does not take.
void Client::answer_ping(std::span<const std::uint8_t> payload, ClientContext& context) {
  if (!unsent_.empty()) return;
  add_to(context.counters.first().pings);
  write(ws::encode_control(ws::Opcode::kPong, payload, context.random_mask()).view(), context);
}

void Client::close(ClientContext& context) {
  if (state_ != State::kOpen) return;
  if (context.target.raw) return die(context);
  state_ = State::kClosing;
  write(ws::encode_close(ws::CloseCode::kNormal, {}, context.random_mask()).view(), context);
  flush(context);
}

void Client::write(std::span<const std::uint8_t> bytes, ClientContext& context) {
  context.output.insert(context.output.end(), bytes.begin(), bytes.end());
}

void Client::take(std::span<const std::uint8_t> output) {
  unsent_.insert(unsent_.end(), output.begin(), output.end());
}

// Sends what was written in this call. What the socket does not take waits for EPOLLOUT.
void Client::flush(ClientContext& context) {
  std::vector<std::uint8_t>& output = context.output;
  if (tls_ && state_ != State::kDead) {
    if (!output.empty()) tls_->write(output, *this);
    if (!unsent_.empty() && !blocked_) send_unsent(context);
  } else if (!output.empty() && state_ != State::kDead) {
    const std::size_t sent = blocked_ ? 0 : send_some(output, context);
    unsent_.insert(unsent_.end(), output.begin() + static_cast<std::ptrdiff_t>(sent), output.end());
    set_blocked(!unsent_.empty(), context);
  }
  output.clear();
}

void Client::send_unsent(ClientContext& context) {
  const std::size_t sent = send_some(unsent_, context);
  unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(sent));
  set_blocked(!unsent_.empty(), context);
}

// Bytes that the socket took.
std::size_t Client::send_some(std::span<const std::uint8_t> bytes, ClientContext& context) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n >= 0) {
      sent += static_cast<std::size_t>(n);
    } else if (errno != EINTR) {
      if (errno != EAGAIN) broken_pipe(errno, context);
      break;
    }
  }
  return sent;
}

void Client::set_blocked(bool blocked, ClientContext& context) {
  if (blocked_ == blocked || state_ == State::kDead) return;
  blocked_ = blocked;
  watch(EPOLL_CTL_MOD, blocked, context);
}

void Client::broken_pipe(int code, ClientContext& context) {
  if (state_ == State::kHandshake) {
    return fail_opening(handshake_error(), errno_text(code), context);
  }
  return state_ == State::kClosing ? die(context) : lose(ErrorKind::kClosed, context);
}

void Client::watch(int operation, bool output, ClientContext& context) const {
  epoll_event event{EPOLLIN, {.u32 = tag_}};
  if (output) event.events |= EPOLLOUT;
  if (epoll_ctl(context.epoll_fd, operation, fd_, &event) != 0) {
    fail("cannot watch a connection: {}; raise fs.epoll.max_user_watches", errno_text(errno));
  }
}

// Ending.

// RFC 6455, 5.5.1 and 7.1.7: the server's close frame is answered, and a breach of its named.
void Client::close_and_lose(ws::CloseCode code, ErrorKind kind, ClientContext& context) {
  if (state_ == State::kOpen && !context.target.raw) {
    write(ws::encode_close(code, {}, context.random_mask()).view(), context);
    flush(context);
  }
  if (state_ != State::kDead) lose(kind, context);
}

void Client::lose(ErrorKind kind, ClientContext& context) {
  context.counters.at(clock_ns()).error(kind);
  count_lost(context);
  record_unanswered(context);
  die(context);
}

void Client::count_lost(ClientContext& context) {
  if (subscriber_) context.counters.first().error(ErrorKind::kLost, subscriber_->missing());
  in_flight_.for_each([&](const Awaited& run) {
    context.counters.at(run.due_ns).error(ErrorKind::kLost, run.count);
  });
}

void Client::die(ClientContext& context) {
  if (counted_) context.counters.first().connected.fetch_sub(1, std::memory_order_relaxed);
  counted_ = false;
  if (subscriber_) subscriber_->leave();
  in_flight_.clear();
  state_ = State::kDead;
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace epulse::load
