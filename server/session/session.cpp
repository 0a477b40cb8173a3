#include "server/session/session.hpp"

#include <algorithm>
#include <ctime>
#include <string>
#include <utility>

#include "server/contract/handshake_buckets.hpp"
#include "server/contract/stats_writer.hpp"
#include "server/engine/clock.hpp"
#include "server/session/prometheus.hpp"
#include "server/ws/http.hpp"
#include "server/ws/subprotocol.hpp"

namespace epulse::server {
namespace {

constexpr std::uint32_t kWheelSlots = 512;  // two minutes: longer times are looked at again
constexpr int kPublicationsPerTurn = 256;   // so that other workers do not starve our clients

std::uint64_t relaxed(const std::atomic<std::uint64_t>& value) {
  return value.load(std::memory_order_relaxed);
}

Application::Answer refusal(int status, std::string_view why = {}) {
  std::string text(ws::status_phrase(status));
  if (!why.empty()) text.append(": ").append(why);
  return {status, text + '\n', {}};
}

std::uint64_t wall_clock_s() {
  return static_cast<std::uint64_t>(std::time(nullptr));
}

}  // namespace

Session::Session(SharedState& shared, std::size_t worker, SocketHandler& handler)
    : shared_(shared),
      worker_(worker),
      handler_(handler),
      stats_(shared.pages.worker(worker)),
      accept_load_(shared.accept_loads, worker),
      outbox_(shared.hub, worker),
      wheel_(kTickNs, kWheelSlots, clock_ns()) {
  const ws::CompressionOptions& compression = shared.options.compression;
  if (compression.mode != ws::CompressionOptions::Mode::kOff) compression_.emplace(compression);
}

std::uint64_t Session::backlog_cap() const {
  return relaxed(shared_.tunables.backlog_cap_bytes);
}

std::uint64_t Session::idle_timeout_ns() const {
  return relaxed(shared_.tunables.idle_timeout_ns);
}

Session::Client* Session::look_up(ConnId id) {
  Client* client = clients_.find(id.slot);
  return client != nullptr && client->connection.id() == id ? client : nullptr;
}

// Connections.

void Session::on_accept(ConnId id) {
  Client& client = clients_.emplace(id.slot, id, shared_.options.max_message_bytes);
  client.accepted_ns = engine_->now_ns();
  client.heard_ns = engine_->now_ns();
  if (!within_address_limits(client)) {
    client.refusal = 429;  // and takes no place from others
  } else if (shared_.connections.fetch_add(1) >= relaxed(shared_.tunables.max_connections)) {
    client.refusal = 503;
  }
  enter_phase(client);
  ++live_;
  accept_load_.accepted(live_);
  if (client.refusal == 429 && shared_.options.limited_are_reset) {
    stat_add(stats_.refused, 1);
    engine_->abort(id);
  }
  if (drain_deadline_ns_ != 0) engine_->abort(id);  // Accepted in the turn that began the drain.
}

bool Session::within_address_limits(Client& client) {
  AddressLimits& limits = shared_.address_limits;
  if (!limits.enabled()) return true;
  const ConnId id = client.connection.id();
  const Address peer = engine_->peer_address(id);
  // Gone already, or no descriptor was left to ask with: nobody comes in uncounted.
  if (peer.size == 0) return false;
  if (id.slot >= peers_.size()) peers_.resize(id.slot + 1);
  peers_[id.slot] = peer_key(*peer.get());
  client.limited = limits.enter(peers_[id.slot], engine_->now_ns());
  return client.limited;
}

void Session::on_data(ConnId id, std::span<std::uint8_t> input) {
  Client* client = find(id);
  if (client == nullptr) return;
  client->heard_ns = engine_->now_ns();
  client->pinged = false;
  const Connection::Phase before = client->connection.phase();
  const std::size_t gathered_before = client->connection.gathered_bytes();
  receiving_ = client;
  if (compression_) compression_->inflaters().allow(kInflatedAtOnceBytes);
  client->connection.receive(input, *engine_, *this);
  receiving_ = nullptr;
  deliver_gathered();
  count_gathered(*client, gathered_before);
  if (client->connection.phase() != before) enter_phase(*client);
  if (client->connection.waits()) wait_for_turn(*client);
  if (client->connection.phase() == Connection::Phase::kOpen) pause_if_behind(*client);
}

// Who does not read what it is sent is not read either. A subscriber is, up to the cap of its
// backlog: it may be sending pings and reading none of the pongs.
void Session::pause_if_behind(Client& client) {
  const ConnId id = client.connection.id();
  if (!engine_->blocked(id)) return;
  if (client.subscriptions && shared_.options.slow_policy == SlowPolicy::kDrop) {
    drop_if_slow(client);
  } else if (is_behind(client)) {
    engine_->pause_reading(id);
  }
}

bool Session::is_behind(const Client& client) const {
  return engine_->blocked(client.connection.id()) && (!client.subscriptions || is_slow(client));
}

// When all of them together are too large, whoever holds most goes: not who came last, else a few
// who never end theirs would keep all others from sending.
void Session::count_gathered(Client& client, std::size_t before) {
  const std::size_t after = client.connection.gathered_bytes();
  if (after == before) return;
  gathering_bytes_ += after - before;
  const std::size_t cap = shared_.options.gathering_cap_bytes;
  if (after < before || cap == 0 || gathering_bytes_ <= cap) return;
  Client* most = &client;
  clients_.for_each([&most](Client& other) {
    if (other.connection.phase() == Connection::Phase::kFinished) return;
    if (other.connection.gathered_bytes() > most->connection.gathered_bytes()) most = &other;
  });
  gathering_bytes_ -= most->connection.gathered_bytes();
  most->connection.fail(ws::CloseCode::kTryAgainLater, "too many messages under way", *engine_);
  stat_add(stats_.gathering_closed, 1);
  if (most != &client) enter_phase(*most);
}

void Session::on_drained(ConnId id) {
  Client* client = find(id);
  if (client == nullptr) return;
  go_on(*client);
  if (client->connection.phase() != Connection::Phase::kOpen) return;
  handler_.on_writable({*this, id});
  deliver_gathered();
}

void Session::on_closed(ConnId id, CloseReason /*reason*/) {
  Client* client = find(id);
  if (client == nullptr) return;
  unsubscribe(*client);
  gathering_bytes_ -= client->connection.gathered_bytes();
  client->connection.lose();  // The application may not subscribe or send any more.
  if (client->counted) {
    stat_set(stats_.connections, stats_.connections - 1);
    handler_.on_close({*this, id}, client->connection.close_code());
    deliver_gathered();
  }
  if (client->refusal != 429) shared_.connections.fetch_sub(1);
  if (client->limited) shared_.address_limits.leave(peers_[id.slot], engine_->now_ns());
  note_end(*client);
  wheel_.clear(id.slot);
  clients_.erase(id.slot);
  --live_;
  accept_load_.closed(live_);
  stop_if_drained();
}

// Requests.

Session::Answer Session::on_request(Connection& /*conn*/, const ws::Request& request, int status) {
  Client& client = *receiving_;
  Answer answer = refusal(status);
  // Without an Upgrade field it is a plain request, and may be one that we know.
  const bool plain = status == 426 && request.upgrade.absent();
  const std::string_view path = request.target.substr(0, request.target.find('?'));
  if (plain && path == "/healthz") return {200, "ok\n", {}};
  const bool limited = client.refusal == 429;  // and is told nothing else
  if (plain && !limited && path == "/stats") return {200, shared_.pages.text(), {}};
  if (plain && !limited && path == "/metrics")
    return {200, prometheus_text(shared_.pages.read()), {}};
  if (status == 101 || limited) answer = route(client, request);
  note_request(client, request, answer.status);
  if (answer.status != 101) {
    stat_add(stats_.refused, 1);
    return answer;
  }
  answer.subprotocol = ws::choose_protocol(request.protocols, shared_.options.subprotocols);
  if (compression_) answer.compression = &*compression_;
  client.counted = true;
  count_handshake(client);
  stat_add(stats_.connections, 1);
  return answer;
}

void Session::note_request(Client& client, const ws::Request& request, int status) {
  if (!shared_.options.on_access || ++requests_unnoted_ < shared_.options.access_sample) return;
  requests_unnoted_ = 0;
  client.access = std::make_unique<AccessRecord>();
  const Address peer = engine_->peer_address(client.connection.id());
  if (peer.size != 0) client.access->peer = peer.text();
  client.access->method = request.method;
  client.access->target = request.target;
  client.access->status = status;
}

void Session::note_end(Client& client) {
  if (!client.access) return;
  client.access->duration_ns = engine_->now_ns() - client.accepted_ns;
  client.access->close_code = client.connection.close_code();
  shared_.options.on_access(*client.access);
}

void Session::count_handshake(const Client& client) {
  const std::uint64_t ns = engine_->now_ns() - client.accepted_ns;
  stat_add(stats_.accepted, 1);
  stat_add(stats_.handshake_ns, ns);
  stat_add(stats_.handshake_buckets[handshake_bucket(ns)], 1);
}

Session::Answer Session::route(const Client& client, const ws::Request& request) {
  if (client.refusal != 0) return refusal(client.refusal);
  if (drain_deadline_ns_ != 0) return refusal(503);
  const GateVerdict verdict = check_gate(shared_.options.gate, request, wall_clock_s());
  if (verdict.status != 101) return refusal(verdict.status, verdict.why);
  const SocketHandler::Reply reply = handler_.on_request(request);
  return reply.status == 101 ? Answer{} : refusal(reply.status, reply.why);
}

void Session::on_open(Connection& conn, const ws::Request& request) {
  handler_.on_open({*this, conn.id()}, request);
}

// Messages.

void Session::on_message(Connection& conn, ws::Opcode opcode, std::span<std::uint8_t> payload) {
  stat_add(stats_.messages_in, 1);
  if (AccessRecord* const access = receiving_->access.get()) {
    ++access->messages_in;
    access->bytes_in += payload.size();
  }
  handler_.on_message({*this, conn.id()}, opcode, payload);
}

void Session::on_ending(Connection& /*conn*/, bool violation) {
  deliver_gathered();
  if (violation) stat_add(stats_.protocol_errors, 1);
}

void Session::close(ConnId id, ws::CloseCode code, std::string_view reason) {
  deliver_gathered();
  Client* client = find_open(id);
  if (client == nullptr) return;
  client->connection.close(code, reason, *engine_);
  if (client != receiving_) enter_phase(*client);  // or else on_data() does
  engine_->resume_reading(id);                     // for the answer
}

void Session::set_limits(ConnId id, std::uint32_t max_message_bytes,
                         std::uint16_t ping_interval_s) {
  Client* client = find_open(id);
  if (client == nullptr) return;
  client->connection.set_max_message_bytes(
      std::min(max_message_bytes, shared_.options.max_message_bytes));
  client->ping_interval_s = ping_interval_s;
  schedule(*client, engine_->now_ns() + ping_interval_ns(*client));
}

std::uint64_t Session::ping_interval_ns(const Client& client) const {
  const std::uint64_t half = idle_timeout_ns() / 2;
  return client.ping_interval_s == 0 ? half : std::min(half, client.ping_interval_s * kSecondNs);
}

void Session::set_state(ConnId id, std::unique_ptr<SocketState> state) {
  if (Client* client = find(id)) client->state = std::move(state);
}

// What other workers have for us, or ask of us.
void Session::on_wake() {
  shared_.hub.waker(worker_).acknowledge();
  PublicationPtr publication;
  int taken = 0;
  while (taken < kPublicationsPerTurn && shared_.hub.take(worker_, publication)) {
    gather(std::move(publication));
    ++taken;
  }
  deliver_gathered();
  if (taken == kPublicationsPerTurn) shared_.hub.waker(worker_).wake();  // for the rest
  if (taken != 0) shared_.hub.wake_stalled(worker_);
  if (more_due_) look_at_due();
  if (!throttled_.empty()) retry_outbox();
  if (!inflating_.empty()) inflate_for_a_while();
  const Stage stage = shared_.stage.load();
  if (stage != Stage::kServing) engine_->stop_accepting();
  if (stage == Stage::kDraining && drain_deadline_ns_ == 0) begin_drain();
}

}  // namespace epulse::server
