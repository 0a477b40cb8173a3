#include "tools/load/client.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "server/ws/client_handshake.hpp"
#include "tools/load/clock.hpp"
#include "tools/load/error.hpp"
#include "tools/load/payload.hpp"
#include "tools/load/tls.hpp"

namespace epulse::load {
namespace {

constexpr std::size_t kMaxUnsentBytes = std::size_t{8} * 1024 * 1024;
constexpr std::size_t kMinMaxMessage = std::size_t{1024} * 1024;

ws::MaskKey random_mask(ClientContext& context) {
  const std::uint64_t bits = context.random();
  ws::MaskKey mask;
  std::memcpy(mask.data(), &bits, mask.size());
  return mask;
}

std::string random_key(ClientContext& context) {
  const std::array<std::uint64_t, 2> bits = {context.random(), context.random()};
  std::array<std::uint8_t, 16> nonce{};
  std::memcpy(nonce.data(), bits.data(), nonce.size());
  return ws::make_key(nonce);
}

std::string why_not_open(ErrorKind kind, std::string_view why, const ClientContext& context) {
  const Target& target = context.target;
  if (kind == ErrorKind::kConnect) {
    return fmt::format("cannot connect to {}: {}; is the server running?", target.authority, why);
  }
  if (kind == ErrorKind::kTls) {
    return fmt::format(
        "cannot speak TLS with {}: {}; is it a TLS server? If its certificate is in doubt: "
        "--tls-ca FILE, or --tls-insecure",
        target.authority, why);
  }
  return fmt::format(
      "cannot open a WebSocket on {}{}: {}; is it a WebSocket server, and the path right?",
      target.authority, target.path, why);
}

}  // namespace

Client::Client(std::uint32_t index, std::uint32_t tag, std::size_t size_bytes)
    : parser_(ws::Role::kClient, std::max(size_bytes, kMinMaxMessage)), index_(index), tag_(tag) {}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

// Opening.

void Client::connect(ClientContext& context) {
  const Target& target = context.target;
  state_ = State::kConnecting;
  fd_ = socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return fail_opening(ErrorKind::kConnect, errno_text(errno), context);
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  watch(EPOLL_CTL_ADD, true, context);
  const auto* address = reinterpret_cast<const sockaddr*>(&target.address);
  if (::connect(fd_, address, target.address_size) != 0 && errno != EINPROGRESS) {
    fail_opening(ErrorKind::kConnect, errno_text(errno), context);
  }
}

void Client::connected(ClientContext& context) {
  int code = 0;
  socklen_t size = sizeof code;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &code, &size);
  if (code != 0) return fail_opening(ErrorKind::kConnect, errno_text(code), context);
  state_ = State::kHandshake;
  watch(EPOLL_CTL_MOD, false, context);
  if (context.tls == nullptr) return request_upgrade(context);
  tls_.emplace(*context.tls, tls::Stream::Role::kClient, context.pipe);
  expect_server(tls_->ssl(), context.options, context.target);
  tls_->start(*this);
  flush(context);
}

void Client::request_upgrade(ClientContext& context) {
  key_ = random_key(context);
  const std::string request =
      ws::upgrade_request(context.target.authority, context.target.path, key_);
  write({reinterpret_cast<const std::uint8_t*>(request.data()), request.size()}, context);
}

void Client::shake_hands(std::span<std::uint8_t> input, ClientContext& context) {
  const std::size_t before = response_.size();
  response_.append(reinterpret_cast<const char*>(input.data()), input.size());
  const ws::ResponseHead head = ws::check_response(response_, key_);
  if (head.verdict == ws::ResponseHead::Verdict::kIncomplete) return;
  if (head.verdict == ws::ResponseHead::Verdict::kRefused) {
    const std::string why = head.status == 0
                                ? std::string(head.reason)
                                : fmt::format("{} (status {})", head.reason, head.status);
    return fail_opening(ErrorKind::kHandshake, why, context);
  }
  state_ = State::kOpen;
  context.counters.connected.fetch_add(1, std::memory_order_relaxed);
  context.counters.opened.fetch_add(1, std::memory_order_relaxed);
  const std::size_t used = head.size - before;
  std::string().swap(key_);
  std::string().swap(response_);
  read_frames(input.subspan(used), context);
}

void Client::fail_opening(ErrorKind kind, std::string_view why, ClientContext& context) {
  context.counters.error(kind);
  if (context.first_failure.empty()) context.first_failure = why_not_open(kind, why, context);
  die(context);
}

void Client::give_up(ClientContext& context) {
  fail_opening(state_ == State::kConnecting ? ErrorKind::kConnect : handshake_error(),
               "no answer in time", context);
}

// Which of the two handshakes is under way.
ErrorKind Client::handshake_error() const {
  const bool in_tls = tls_ && tls_->state() == tls::Stream::State::kHandshake;
  return in_tls ? ErrorKind::kTls : ErrorKind::kHandshake;
}

// Events.

void Client::on_event(std::uint32_t events, ClientContext& context) {
  if (state_ == State::kDead) return;
  if (state_ == State::kConnecting) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) connected(context);
    return;
  }
  if ((events & EPOLLOUT) != 0) flush(context);
  if (state_ != State::kDead && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) receive(context);
}

void Client::receive(ClientContext& context) {
  const ssize_t n = recv(fd_, context.input.data(), context.input.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return broken_pipe(n < 0 ? errno : ECONNRESET, context);
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
      request_upgrade(context);
    }
    if (!plain.empty()) take_plain(plain, context);
    if (failed) return broken_pipe(EPROTO, context);
  }
  if (state_ != State::kDead && !blocked_) flush(context);
}

void Client::take_plain(std::span<std::uint8_t> input, ClientContext& context) {
  if (state_ == State::kHandshake) return shake_hands(input, context);
  read_frames(input, context);
}

void Client::read_frames(std::span<std::uint8_t> input, ClientContext& context) {
  while (state_ == State::kOpen || state_ == State::kClosing) {
    const ws::Event event = parser_.next(input);
    if (event.kind == ws::Event::Kind::kNeedMore) return;
    handle(event, context);
  }
}

void Client::handle(const ws::Event& event, ClientContext& context) {
  switch (event.kind) {
    case ws::Event::Kind::kMessage:
      return check_answer(event, context);
    case ws::Event::Kind::kPing:
      return send_control(ws::Opcode::kPong, event.payload, context);
    case ws::Event::Kind::kClose:
      return state_ == State::kClosing ? die(context) : lose(ErrorKind::kClosed, context);
    case ws::Event::Kind::kViolation:
      return lose(ErrorKind::kProtocol, context);
    case ws::Event::Kind::kPong:
    case ws::Event::Kind::kNeedMore:
      return;
  }
}

void Client::abandon_answers(ClientContext& context) {
  if (state_ != State::kOpen) return;
  const std::uint64_t now = clock_ns();
  for (const std::uint64_t due : due_) context.counters.latency.record(now > due ? now - due : 0);
  if (!due_.empty()) context.counters.error(ErrorKind::kTimeout, due_.size());
  due_.clear();
}

void Client::check_answer(const ws::Event& event, ClientContext& context) {
  if (!context.counting) return;
  const std::uint64_t now = clock_ns();
  Counters& counters = context.counters;
  if (due_.empty()) return counters.error(ErrorKind::kWrongEcho);
  const std::uint64_t due = due_.front();
  due_.pop_front();
  const bool right = event.opcode == ws::Opcode::kBinary &&
                     event.payload.size() == context.options.size_bytes &&
                     is_payload(event.payload, index_, next_answer_);
  ++next_answer_;
  if (right) {
    counters.received.fetch_add(1, std::memory_order_relaxed);
    counters.latency.record(now > due ? now - due : 0);
  } else {
    counters.error(ErrorKind::kWrongEcho);
  }
  if (now < context.send_until_ns) send_message(now, context);
}

// Sending.

void Client::send_message(std::uint64_t due_ns, ClientContext& context) {
  if (state_ != State::kOpen) return;
  if (unsent_.size() > kMaxUnsentBytes) {
    return context.counters.error(ErrorKind::kTimeout);
  }
  const std::size_t size = context.options.size_bytes;
  const ws::MaskKey mask = random_mask(context);
  const ws::HeaderBytes header = ws::encode_header({ws::Opcode::kBinary, size, true, mask});
  context.frame.resize(header.size + size);
  std::copy_n(header.bytes.begin(), header.size, context.frame.begin());
  const auto payload = std::span(context.frame).subspan(header.size);
  fill_payload(payload, index_, next_sequence_);
  ws::apply_mask(payload, mask);
  ++next_sequence_;
  due_.push_back(due_ns);
  context.counters.sent.fetch_add(1, std::memory_order_relaxed);
  write(context.frame, context);
}

void Client::send_control(ws::Opcode opcode, std::span<const std::uint8_t> payload,
                          ClientContext& context) {
  write(ws::encode_control(opcode, payload, random_mask(context)).view(), context);
}

void Client::close(ClientContext& context) {
  if (state_ != State::kOpen) return;
  state_ = State::kClosing;
  write(ws::encode_close(ws::CloseCode::kNormal, {}, random_mask(context)).view(), context);
}

void Client::write(std::span<const std::uint8_t> bytes, ClientContext& context) {
  tls_ ? tls_->write(bytes, *this) : take(bytes);
  if (!blocked_) flush(context);
}

void Client::take(std::span<const std::uint8_t> output) {
  unsent_.insert(unsent_.end(), output.begin(), output.end());
}

void Client::flush(ClientContext& context) {
  while (unsent_offset_ < unsent_.size()) {
    const auto left = std::span(unsent_).subspan(unsent_offset_);
    const ssize_t n = ::send(fd_, left.data(), left.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      unsent_offset_ += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      return set_blocked(true, context);
    } else if (errno != EINTR) {
      return broken_pipe(errno, context);
    }
  }
  unsent_.clear();
  unsent_offset_ = 0;
  set_blocked(false, context);
}

void Client::set_blocked(bool blocked, ClientContext& context) {
  if (blocked) {  // What was sent goes now: the rest may never come to an end.
    unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(unsent_offset_));
    unsent_offset_ = 0;
  }
  if (blocked_ == blocked) return;
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

void Client::lose(ErrorKind kind, ClientContext& context) {
  context.counters.error(kind);
  if (!due_.empty()) context.counters.error(ErrorKind::kLost, due_.size());
  due_.clear();
  die(context);
}

void Client::die(ClientContext& context) {
  if (state_ == State::kOpen || state_ == State::kClosing) {
    context.counters.connected.fetch_sub(1, std::memory_order_relaxed);
  }
  state_ = State::kDead;
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace epulse::load
