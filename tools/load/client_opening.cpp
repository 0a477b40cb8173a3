// How a client gets its connection: TCP, TLS, the opening handshake of WebSocket.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tools/load/client.hpp"
#include "tools/load/clock.hpp"
#include "tools/load/error.hpp"
#include "tools/load/one_writer.hpp"
#include "tools/load/opening_failure.hpp"
#include "tools/load/tls.hpp"

namespace epulse::load {
namespace {

// As browsers offer it: the server decides about contexts and windows.
ws::UpgradeOffer offer_of(const Options& options) {
  ws::UpgradeOffer offer;
  if (options.compression) offer.deflate = {.client_max_window_bits = ws::kMaxWindowBits};
  return offer;
}

std::string random_key(ClientContext& context) {
  std::array<std::uint32_t, 4> bits;
  std::generate(bits.begin(), bits.end(), [&] { return context.random.next(); });
  std::array<std::uint8_t, 16> nonce{};
  std::memcpy(nonce.data(), bits.data(), nonce.size());
  return ws::make_key(nonce);
}

}  // namespace

void Client::connect(ClientContext& context) {
  const Target& target = context.target;
  state_ = State::kConnecting;
  UniqueFd fd(socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd || !begin_connecting(fd.get(), target)) {
    return fail_opening(ErrorKind::kConnect, errno_text(errno), context);
  }
  conn_ = context.engine->adopt(std::move(fd));
  if (conn_.slot >= context.owners.size()) context.owners.resize(conn_.slot + 1);
  context.owners[conn_.slot] = this;
}

// False, with errno, when that fails at once.
bool Client::begin_connecting(int fd, const Target& target) const {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!bind_source(fd, target)) return false;
  const auto* address = reinterpret_cast<const sockaddr*>(&target.address);
  return ::connect(fd, address, target.address_size) == 0 || errno == EINPROGRESS;
}

// The port is chosen when it connects: then one may serve several servers (ip(7)).
bool Client::bind_source(int fd, const Target& target) const {
  if (target.sources.empty()) return true;
  const int on = 1;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  const sockaddr_storage& source = target.sources[index_ % target.sources.size()];
  return bind(fd, reinterpret_cast<const sockaddr*>(&source), target.address_size) == 0;
}

void Client::connected(ClientContext& context) {
  state_ = State::kHandshake;
  if (context.tls == nullptr) return request_upgrade(context);
  tls_.emplace(*context.tls, tls::Stream::Role::kClient, context.pipe);
  expect_server(tls_->ssl(), context.options, context.target);
  if (context.sessions != nullptr) context.sessions->use(tls_->ssl());
  tls_->start(context.cipher);
}

void Client::tls_opened(ClientContext& context) {
  add_to(context.counters.first().tls_handshakes);
  if (context.sessions != nullptr && context.sessions->resumed(tls_->ssl())) {
    add_to(context.counters.first().tls_resumed);
  }
  request_upgrade(context);
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
  add_to(context.counters.first().connected);
  add_to(context.counters.first().opened);
  if (context.recording != nullptr) note_addresses(context);
  if (subscriber_) subscriber_->join();
  if (!deflate) return;
  add_to(context.counters.first().compressed);
  sender_ = ws::DeflateSender(context.compression, ws::client_side(*deflate));
  parser_.expect_deflate(context.compression.inflaters(), ws::server_side(*deflate));
}

void Client::note_addresses(ClientContext& context) const {
  const server::Address own = context.engine->own_address(conn_);
  const server::Address peer = context.engine->peer_address(conn_);
  if (own.size == 0 || peer.size == 0) return;  // It is gone already.
  context.recording->connections.push_back({index_, own.text(), peer.text()});
}

void Client::opened_again(ClientContext& context) {
  if (in_flight_.empty()) return die(context);  // The end came first.
  state_ = State::kOpen;
  in_flight_.take(1, [&](const Awaited& handshake) { count_answer(handshake, context); });
  if (context.now_ns < context.send_until_ns) return reopen(context);
  die(context);
}

void Client::reopen(ClientContext& context) {
  if (state_ != State::kOpen) return;
  state_ = State::kReopening;
  context.engine->close(conn_);
}

void Client::connect_again(ClientContext& context) {
  tls_.reset();
  const std::uint64_t now = clock_ns();
  if (now >= context.send_until_ns) return die(context);
  in_flight_.add({now, 0});
  add_to(context.counters.first().sent);
  connect(context);
}

void Client::fail_opening(ErrorKind kind, std::string_view why, ClientContext& context) {
  context.counters.at(clock_ns()).error(kind);
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

}  // namespace epulse::load
