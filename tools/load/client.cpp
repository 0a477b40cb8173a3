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

#include "tools/load/clock.hpp"
#include "tools/load/error.hpp"
#include "tools/load/one_writer.hpp"
#include "tools/load/opening_failure.hpp"
#include "tools/load/payload.hpp"
#include "tools/load/tls.hpp"

namespace epulse::load {
namespace {

constexpr std::size_t kMaxUnsentBytes = std::size_t{8} * 1024 * 1024;
constexpr std::size_t kMaxUnsentBytesOfAll = std::size_t{256} * 1024 * 1024;
constexpr std::size_t kMaxInFlightOfAll = 8'000'000;
constexpr std::uint32_t kMinMaxMessage = 1024 * 1024;

// As browsers offer it: the server decides about contexts and windows.
ws::UpgradeOffer offer_of(const Options& options) {
  ws::UpgradeOffer offer;
  if (options.compression) offer.deflate = {.client_max_window_bits = ws::kMaxWindowBits};
  return offer;
}

ws::MaskKey random_mask(ClientContext& context) {
  const std::uint32_t bits = context.random.next();
  ws::MaskKey mask;
  std::memcpy(mask.data(), &bits, mask.size());
  return mask;
}

std::string random_key(ClientContext& context) {
  std::array<std::uint32_t, 4> bits;
  std::generate(bits.begin(), bits.end(), [&] { return context.random.next(); });
  std::array<std::uint8_t, 16> nonce{};
  std::memcpy(nonce.data(), bits.data(), nonce.size());
  return ws::make_key(nonce);
}

bool has_our_form(const ws::Event& event, const ClientContext& context) {
  return event.opcode == ws::Opcode::kBinary && event.payload.size() == context.options.size_bytes;
}

}  // namespace

std::size_t ClientContext::max_unsent_bytes() const {
  return std::min(kMaxUnsentBytes, kMaxUnsentBytesOfAll / options.connections);
}

std::size_t ClientContext::max_in_flight() const {
  return std::max<std::size_t>(options.window, kMaxInFlightOfAll / options.connections);
}

Client::Client(std::uint32_t index, std::uint32_t tag, std::uint32_t size_bytes, bool raw)
    : parser_(raw ? ws::Role::kServer : ws::Role::kClient, std::max(size_bytes, kMinMaxMessage)),
      index_(index),
      tag_(tag) {}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

void Client::take_part(Broadcast& broadcast) {
  subscriber_.emplace(broadcast, index_);
  if (index_ < broadcast.publishers()) publication_ = &broadcast.publication(index_);
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
}

void Client::request_upgrade(ClientContext& context) {
  key_ = random_key(context);
  const std::string request = ws::upgrade_request(context.target.authority, context.target.path,
                                                  key_, offer_of(context.options));
  write({reinterpret_cast<const std::uint8_t*>(request.data()), request.size()}, context);
}

void Client::shake_hands(std::span<std::uint8_t> input, ClientContext& context) {
  const std::size_t before = response_.size();
  response_.append(reinterpret_cast<const char*>(input.data()), input.size());
  const ws::ResponseHead head = check_opening(context);
  if (head.verdict == ws::ResponseHead::Verdict::kIncomplete) return;
  if (head.verdict == ws::ResponseHead::Verdict::kRefused) {
    const std::string why = head.status == 0
                                ? std::string(head.reason)
                                : fmt::format("{} (status {})", head.reason, head.status);
    return fail_opening(ErrorKind::kHandshake, why, context);
  }
  const std::size_t used = head.size - before;
  const std::optional<ws::DeflateTerms> deflate = head.agreed.deflate;
  std::string().swap(key_);
  std::string().swap(response_);
  if (counted_) return opened_again(context);
  opened(deflate, context);
  read_frames(input.subspan(used), context);
}

ws::ResponseHead Client::check_opening(const ClientContext& context) const {
  const Target& target = context.target;
  if (!target.raw) return ws::check_response(response_, key_, offer_of(context.options));
  const std::string request = ws::upgrade_request(target.authority, target.path, key_);
  if (!request.starts_with(std::string_view(response_).substr(0, request.size()))) {
    return {ws::ResponseHead::Verdict::kRefused, 0, 0, "what came back is not what was sent", {}};
  }
  if (response_.size() < request.size()) return {};
  return {ws::ResponseHead::Verdict::kAccepted, request.size(), 0, {}, {}};
}

void Client::opened(const std::optional<ws::DeflateTerms>& deflate, ClientContext& context) {
  state_ = State::kOpen;
  counted_ = true;
  add_to(context.counters.connected);
  add_to(context.counters.opened);
  if (context.recording != nullptr) context.recording->opened(index_, fd_);
  if (subscriber_) subscriber_->join();
  if (!deflate) return;
  add_to(context.counters.compressed);
  sender_ = ws::DeflateSender(context.compression, ws::client_side(*deflate));
  parser_.expect_deflate(context.compression.inflaters(), ws::server_side(*deflate));
}

void Client::opened_again(ClientContext& context) {
  if (due_.empty()) return die(context);  // The end came first.
  state_ = State::kOpen;
  const std::uint64_t due_ns = due_.front().due_ns;
  due_.pop_front();
  add_to(context.counters.received);
  count_latency(due_ns, context);
  if (context.now_ns < context.send_until_ns) return reopen(context);
  die(context);
}

void Client::reopen(ClientContext& context) {
  if (state_ != State::kOpen) return;
  ::close(fd_);
  tls_.reset();
  due_.push_back({clock_ns(), 0});
  add_to(context.counters.sent);
  connect(context);
}

void Client::fail_opening(ErrorKind kind, std::string_view why, ClientContext& context) {
  context.counters.error(kind);
  context.first_failure->tell(opening_failure(kind, context.target, why));
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
      request_upgrade(context);
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

void Client::abandon_answers(ClientContext& context) {
  context.now_ns = clock_ns();
  if (publication_ != nullptr) publication_->abandon(context.now_ns, context.counters);
  for (const Awaited& message : due_) count_latency(message.due_ns, context);
  record_unanswered(context);
  if (!due_.empty()) context.counters.error(ErrorKind::kTimeout, due_.size());
  due_.clear();
}

void Client::check_answer(const ws::Event& event, ClientContext& context) {
  if (!context.counting) return;
  Counters& counters = context.counters;
  if (due_.empty()) return counters.error(ErrorKind::kUninvited);
  const Awaited message = due_.front();
  due_.pop_front();
  const bool right = has_our_form(event, context) &&
                     is_payload(event.payload, index_, next_answer_, context.options.compression);
  if (right) {
    add_to(counters.received);
    count_latency(message.due_ns, context);
    record(message, next_answer_, context.now_ns, context);
  } else {
    counters.error(ErrorKind::kWrongEcho);
  }
  ++next_answer_;
  if (context.now_ns >= context.send_until_ns) return;
  const std::uint32_t pipeline = context.options.pipeline;
  if (pipeline == 1) return add_message(context.now_ns, context);
  if (!due_.empty()) return;
  for (std::uint32_t k = 0; k < pipeline; ++k) add_message(context.now_ns, context);
}

void Client::take_delivery(const ws::Event& event, ClientContext& context) {
  if (!context.counting) return;
  if (!has_our_form(event, context)) return context.counters.error(ErrorKind::kWrongEcho);
  subscriber_->take(event.payload, context.now_ns, context.options.compression, context.counters);
}

void Client::count_latency(std::uint64_t due_ns, ClientContext& context) {
  context.counters.latency.record(context.now_ns > due_ns ? context.now_ns - due_ns : 0);
}

void Client::record(const Awaited& message, std::uint64_t sequence, std::uint64_t received_ns,
                    ClientContext& context) const {
  if (context.recording == nullptr) return;
  context.recording->sample.add(
      {message.due_ns, message.sent_ns, received_ns, index_, static_cast<std::uint32_t>(sequence)});
}

void Client::record_unanswered(ClientContext& context) const {
  for (std::size_t k = 0; k < due_.size(); ++k) record(due_[k], next_answer_ + k, 0, context);
}

// Sending.

void Client::send_messages(std::uint64_t due_ns, std::uint32_t count, ClientContext& context) {
  for (std::uint32_t k = 0; k < count; ++k) add_message(due_ns, context);
  flush(context);
}

void Client::add_message(std::uint64_t due_ns, ClientContext& context) {
  if (state_ != State::kOpen) return;
  if (unsent_.size() > context.max_unsent_bytes() || due_.size() >= context.max_in_flight()) {
    return context.counters.error(ErrorKind::kTimeout);
  }
  compose(due_ns, context);
  const ws::DeflateSender::Payload encoded = sender_.encode(context.message);
  const ws::MaskKey mask = random_mask(context);
  write(
      ws::encode_header({ws::Opcode::kBinary, encoded.bytes.size(), true, mask, encoded.compressed})
          .view(),
      context);
  const std::size_t start = context.output.size();
  context.output.resize(start + encoded.bytes.size());
  const auto payload = std::span(context.output).subspan(start);
  std::copy(encoded.bytes.begin(), encoded.bytes.end(), payload.begin());
  ws::apply_mask(payload, mask);
  add_to(context.counters.sent);
}

// The next message, and when it was due.
void Client::compose(std::uint64_t due_ns, ClientContext& context) {
  context.message.resize(context.options.size_bytes);
  if (publication_ != nullptr) return publication_->compose(context.message, due_ns);
  fill_payload(context.message, index_, next_sequence_++, context.options.compression);
  due_.push_back({due_ns, context.recording != nullptr ? clock_ns() : 0});
}

// RFC 6455, 5.5.3: not every ping needs its pong. None is added to what a server does not take.
void Client::answer_ping(std::span<const std::uint8_t> payload, ClientContext& context) {
  if (!unsent_.empty()) return;
  write(ws::encode_control(ws::Opcode::kPong, payload, random_mask(context)).view(), context);
}

void Client::close(ClientContext& context) {
  if (state_ != State::kOpen) return;
  if (context.target.raw) return die(context);
  state_ = State::kClosing;
  write(ws::encode_close(ws::CloseCode::kNormal, {}, random_mask(context)).view(), context);
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
    write(ws::encode_close(code, {}, random_mask(context)).view(), context);
    flush(context);
  }
  if (state_ != State::kDead) lose(kind, context);
}

void Client::lose(ErrorKind kind, ClientContext& context) {
  context.counters.error(kind);
  const std::uint64_t missing = subscriber_ ? subscriber_->missing() : due_.size();
  if (missing != 0) context.counters.error(ErrorKind::kLost, missing);
  record_unanswered(context);
  die(context);
}

void Client::die(ClientContext& context) {
  if (counted_) context.counters.connected.fetch_sub(1, std::memory_order_relaxed);
  counted_ = false;
  if (subscriber_) subscriber_->leave();
  due_.clear();
  state_ = State::kDead;
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace epulse::load
