#include "server/tls/tls_engine.hpp"

#include <spdlog/spdlog.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/counted.hpp"

namespace epulse::server {
namespace {

constexpr std::size_t kPartsPerGather = 64;
constexpr std::uint64_t kReportEveryNs = 10'000'000'000;
constexpr std::uint64_t kEndingNs = 2'000'000'000;
constexpr int kEndingsPerTick = 64;  // to reset one takes 20 us

Part part_of(const iovec& vector) {
  return {static_cast<const std::uint8_t*>(vector.iov_base), vector.iov_len};
}

}  // namespace

TlsEngine::TlsEngine(const tls::Context& context, Handler& handler)
    : context_(context), handler_(handler), cork_(tls::kMaxRecordBytes) {}

const TlsEngine::Conn* TlsEngine::find(ConnId id) const {
  if (id.slot >= conns_.size()) return nullptr;
  const Conn& conn = conns_[id.slot];
  return conn.live && conn.id == id ? &conn : nullptr;
}

TlsEngine::Conn* TlsEngine::find(ConnId id) {
  return const_cast<Conn*>(std::as_const(*this).find(id));
}

TlsEngine::Conn* TlsEngine::find_writable(ConnId id) {
  Conn* conn = find(id);
  return conn != nullptr && conn->stream && !conn->ended && !conn->finishing ? conn : nullptr;
}

// From the engine.

void TlsEngine::on_accept(ConnId id) {
  if (id.slot >= conns_.size()) conns_.resize(id.slot + 1);
  Conn& conn = conns_[id.slot];
  conn.id = id;
  conn.live = true;
  handler_.on_accept(id);
}

void TlsEngine::on_data(ConnId id, std::span<std::uint8_t> input) {
  Conn* conn = find(id);
  if (conn == nullptr || conn->ended) return;
  if (!conn->stream) begin(*conn);
  current_ = conn;
  handed_over_ = false;
  Part cipher = input;
  while (!cipher.empty() && !conn->ended) {
    deliver(*conn, conn->stream->read(cipher, outlet(*conn)));
  }
  if (!conn->ended) after_input(*conn);
  // The handler did not see it. Who sends requests for new keys and does not read the answers is
  // not read either.
  if (!handed_over_ && transport().blocked(id)) transport().pause_reading(id);
  seal_all();
}

// Not before there is something to read: who only connects costs nothing.
void TlsEngine::begin(Conn& conn) {
  conn.stream.emplace(*context_.current(), tls::Stream::Role::kServer, pipe_);
  const std::vector<std::string>& paths = context_.options().early_paths;
  if (!paths.empty()) conn.gate = std::make_unique<tls::EarlyGate>(paths);
}

void TlsEngine::deliver(Conn& conn, tls::Stream::Plain plain) {
  if (conn.gate) {
    if (plain.early) hand_over(conn, conn.gate->admit(std::exchange(plain.bytes, {})));
    const tls::Stream::State state = conn.stream->state();
    if (state != tls::Stream::State::kOpen && state != tls::Stream::State::kEnded) return;
    const std::unique_ptr<tls::EarlyGate> gate = std::move(conn.gate);
    hand_over(conn, gate->release());
  }
  hand_over(conn, plain.bytes);
}

void TlsEngine::hand_over(Conn& conn, std::span<std::uint8_t> plain) {
  if (plain.empty() || conn.ended || conn.finishing) return;
  handed_over_ = true;
  handler_.on_data(conn.id, plain);
}

void TlsEngine::after_input(Conn& conn) {
  switch (conn.stream->state()) {
    case tls::Stream::State::kHandshake:
      return;
    case tls::Stream::State::kOpen:
      if (conn.finishing) end(conn, CloseReason::kFinished);
      return;
    case tls::Stream::State::kEnded:
      return end(conn, CloseReason::kPeer);
    case tls::Stream::State::kFailed:
      report_failure(conn.stream->error());
      return end(conn, CloseReason::kError);
  }
}

void TlsEngine::on_drained(ConnId id) {
  if (Conn* conn = find(id); conn != nullptr && !conn->ended) seal(*conn);
  handler_.on_drained(id);
  seal_all();
}

void TlsEngine::on_closed(ConnId id, CloseReason reason) {
  if (Conn* conn = find(id)) {
    if (conn->reason != CloseReason::kFinished) reason = conn->reason;
    *conn = Conn{};
  }
  handler_.on_closed(id, reason);
  seal_all();
}

void TlsEngine::on_wake() {
  handler_.on_wake();
  seal_all();
}

void TlsEngine::on_tick() {
  reset_who_stays();
  handler_.on_tick();
  seal_all();
}

// From the handler.

void TlsEngine::send(ConnId id, std::span<const Part> parts) {
  Conn* conn = find_writable(id);
  if (conn == nullptr) return;
  for (const Part part : parts) {
    is_corked(*conn) ? add(*conn, part) : plain_of(*conn).append(part);
  }
}

void TlsEngine::deliver(ConnId id, std::span<std::uint8_t> input) {
  Conn* conn = find(id);
  if (conn == nullptr) return;
  current_ = conn;
  handler_.on_data(id, input);
  seal_all();
}

std::uint8_t* TlsEngine::open_room(ConnId id, std::size_t bytes) {
  shut_room();
  Conn* conn = find_writable(id);
  if (conn == nullptr || !is_corked(*conn) || bytes >= cork_.size() - corked_) return nullptr;
  std::uint8_t* const at = cork_.data() + corked_;
  // But for the last byte: a full record leaves, which add() sees to.
  room_ = {id, at + bytes, cork_.data() + cork_.size() - 1};
  return at;
}

std::size_t TlsEngine::corked() const {
  return room_.at == nullptr ? corked_ : static_cast<std::size_t>(room_.at - cork_.data());
}

void TlsEngine::shut_room() {
  corked_ = corked();
  room_ = {};
}

void TlsEngine::send_shared(ConnId id, SharedBytes bytes) {
  Conn* conn = find_writable(id);
  if (conn == nullptr) return;
  if (is_corked(*conn)) return add(*conn, *bytes);
  plain_of(*conn).append_shared(std::move(bytes));
}

std::size_t TlsEngine::unsealed_bytes(const Conn& conn) const {
  if (conn.plain) return conn.plain->bytes();
  return &conn == current_ ? corked() : 0;
}

std::size_t TlsEngine::queued_bytes(ConnId id) const {
  const Conn* conn = find(id);
  return conn == nullptr ? 0 : unsealed_bytes(*conn) + transport().queued_bytes(id);
}

std::size_t TlsEngine::unacknowledged_bytes(ConnId id) {
  const Conn* conn = find(id);
  return conn == nullptr ? 0 : unsealed_bytes(*conn) + transport().unacknowledged_bytes(id);
}

void TlsEngine::finish(ConnId id) {
  Conn* conn = find(id);
  if (conn == nullptr || conn->ended || conn->finishing) return;
  if (!conn->stream || conn->stream->state() != tls::Stream::State::kHandshake) {
    return end(*conn, CloseReason::kFinished);
  }
  // An answer to early data: close_notify may not leave before the handshake is complete.
  seal(*conn);
  conn->finishing = true;
  transport().resume_reading(id);
}

void TlsEngine::abort(ConnId id) {
  Conn* conn = find(id);
  if (conn == nullptr) return;
  shut_room();
  conn->ended = true;
  transport().abort(id);
}

// Ending.

void TlsEngine::end(Conn& conn, CloseReason reason) {
  seal(conn);
  if (conn.ended) return;
  conn.ended = true;
  conn.reason = reason;
  if (conn.stream) conn.stream->shutdown(outlet(conn));
  transport().finish(conn.id);
  // Who asked for kFinished keeps the time itself.
  if (reason == CloseReason::kFinished) return;
  endings_.push_back({conn.id, now_ns() + kEndingNs, transport().unacknowledged_bytes(conn.id)});
}

void TlsEngine::reset_who_stays() {
  for (int looks = 0; looks < kEndingsPerTick; ++looks) {
    if (endings_.empty() || endings_.front().due_ns > now_ns()) return;
    const Ending ending = endings_.front();
    endings_.pop_front();
    if (find(ending.id) == nullptr) continue;
    const std::size_t unsent = transport().unacknowledged_bytes(ending.id);
    if (unsent == 0 || unsent >= ending.unsent) {
      transport().abort(ending.id);
    } else {
      endings_.push_back({ending.id, now_ns() + kEndingNs, unsent});
    }
  }
}

void TlsEngine::report_failure(const std::string& why) {
  ++failures_;
  const std::uint64_t now = now_ns();
  if (reported_ns_ != 0 && now - reported_ns_ < kReportEveryNs) return;
  spdlog::warn("TLS failed on {} since the last report; on the latest: {}",
               counted(failures_, "connection"), why);
  failures_ = 0;
  reported_ns_ = now;
}

// Records.

OutputQueue& TlsEngine::plain_of(Conn& conn) {
  if (!conn.plain) {
    unsealed_.push_back(conn.id);
    conn.plain = queues_.take();
  }
  return *conn.plain;
}

// Whole records are made from where the bytes are, the rest is gathered.
void TlsEngine::add(Conn& conn, Part part) {
  shut_room();
  while (!part.empty()) {
    if (corked_ == 0 && part.size() >= cork_.size()) {
      const std::size_t whole = part.size() - part.size() % cork_.size();
      conn.stream->write(part.first(whole), outlet(conn));
      part = part.subspan(whole);
      continue;
    }
    const std::size_t n = std::min(part.size(), cork_.size() - corked_);
    std::copy_n(part.begin(), n, cork_.begin() + static_cast<std::ptrdiff_t>(corked_));
    corked_ += n;
    part = part.subspan(n);
    if (corked_ == cork_.size()) flush_cork(conn);
  }
}

void TlsEngine::flush_cork(Conn& conn) {
  shut_room();
  if (corked_ == 0) return;
  conn.stream->write(Part(cork_).first(std::exchange(corked_, 0)), outlet(conn));
}

// Encrypts all that was sent to it.
void TlsEngine::seal(Conn& conn) {
  if (current_ != nullptr) flush_cork(*current_);
  if (conn.plain) seal_queue(conn);
}

void TlsEngine::seal_queue(Conn& conn) {
  std::unique_ptr<OutputQueue> queue = std::move(conn.plain);
  std::array<iovec, kPartsPerGather> parts{};
  while (!queue->empty() && !conn.ended) {
    std::size_t taken = 0;
    for (const iovec& vector : std::span(parts).first(queue->gather(parts))) {
      add(conn, part_of(vector));
      taken += vector.iov_len;
    }
    queue->consume(taken);
  }
  flush_cork(conn);
  queues_.give_back(std::move(queue));
}

// At the end of each callback. What a full socket does not take yet stays as it is: subscribers
// share it, while records are of one connection, and cost time that may be spent in vain.
void TlsEngine::seal_all() {
  if (current_ != nullptr) flush_cork(*current_);
  current_ = nullptr;
  for (const ConnId id : unsealed_) {
    Conn* conn = find(id);
    if (conn != nullptr && !transport().blocked(id)) seal(*conn);
  }
  unsealed_.clear();
}

}  // namespace epulse::server
