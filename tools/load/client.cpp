#include "tools/load/client.hpp"

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
  const std::size_t window = options.at_once() * (options.sizes.max() + ws::kMaxHeaderBytes);
  return options.open_loop() ? share : std::max(share, window);
}

std::size_t ClientContext::most_in_flight(const Options& options) {
  return std::max<std::size_t>(options.at_once(), kMaxInFlightOfAll / options.connections);
}

Client::Client(std::uint32_t index, std::uint32_t max_bytes, bool raw)
    : parser_(raw ? ws::Role::kServer : ws::Role::kClient, std::max(max_bytes, kMinMaxMessage)),
      index_(index) {}

void Client::take_part(Broadcast& broadcast) {
  subscriber_.emplace(broadcast, index_);
  if (index_ < broadcast.publishers()) publication_ = &broadcast.publication(index_);
}

// Events.

void Client::on_data(std::span<std::uint8_t> input, ClientContext& context) {
  context.now_ns = clock_ns();
  tls_ ? receive_tls(input, context) : take_plain(input, context);
  flush(context);
}

void Client::on_drained(ClientContext& context) {
  if (state_ != State::kConnecting) return;
  connected(context);
  flush(context);
}

void Client::on_closed(server::CloseReason reason, ClientContext& context) {
  if (state_ == State::kReopening) return connect_again(context);
  const bool error = reason == server::CloseReason::kError;
  if (state_ != State::kDead) {
    broken_pipe(error ? context.engine->close_errno() : ECONNRESET, context);
  }
}

void Client::receive_tls(std::span<const std::uint8_t> cipher, ClientContext& context) {
  while (!cipher.empty() && state_ != State::kDead) {
    const std::span<std::uint8_t> plain = tls_->read(cipher, context.cipher).bytes;
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
    case ws::Event::Kind::kPaused:  // never: nobody limits its pool
      return;
  }
}

// Sending.

// RFC 6455, 5.5.3: not every ping needs its pong. None is added to what a server does not take.
void Client::answer_ping(std::span<const std::uint8_t> payload, ClientContext& context) {
  if (context.engine->blocked(conn_)) return;
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

// Sends what was written in this call.
void Client::flush(ClientContext& context) {
  std::vector<std::uint8_t>& output = context.output;
  std::vector<std::uint8_t>& cipher = context.cipher.bytes;
  if (tls_ && state_ != State::kDead) {
    if (!output.empty()) tls_->write(output, context.cipher);
    if (!cipher.empty()) context.engine->send_gathered(conn_, cipher);
  } else if (!output.empty() && state_ != State::kDead) {
    context.engine->send_gathered(conn_, output);
  }
  cipher.clear();
  output.clear();
}

void Client::broken_pipe(int code, ClientContext& context) {
  if (state_ == State::kConnecting) {
    return fail_opening(ErrorKind::kConnect, errno_text(code), context);
  }
  if (state_ == State::kHandshake) {
    return fail_opening(handshake_error(), errno_text(code), context);
  }
  return state_ == State::kClosing ? die(context) : lose(ErrorKind::kClosed, context);
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
  if (context.counting) {
    context.counters.at(clock_ns()).error(kind);
    count_lost(context);
  }
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
  context.engine->close(conn_);
}

}  // namespace epulse::load
