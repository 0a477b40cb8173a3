#include "server/session/session.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <limits>
#include <string>
#include <utility>

#include "server/allocations.hpp"
#include "server/contract/handshake_buckets.hpp"
#include "server/contract/stats_writer.hpp"
#include "server/engine/clock.hpp"
#include "server/session/prometheus.hpp"
#include "server/ws/http.hpp"
#include "server/ws/subprotocol.hpp"

namespace epulse::server {
namespace {

constexpr std::uint64_t kCloseCheckNs = 1'000'000'000;
constexpr std::uint64_t kSlowCheckNs = 1'000'000'000;
constexpr std::uint64_t kRefusedNs = 1'000'000'000;  // for whom there is only a refusal
constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t kWheelSlots = 512;  // two minutes: longer times are looked at again
constexpr std::string_view kTopicPrefix = "/topic/";
constexpr int kPublicationsPerTurn = 256;  // so that other workers do not starve our clients
constexpr std::size_t kMaxTopicChars = 128;

// The unreserved characters of RFC 3986, 2.3: nothing that could be escaped in two ways.
bool is_topic_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxTopicChars &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '.' || c == '_' || c == '~';
         });
}

void burn(std::uint64_t ns) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(ns);
  while (std::chrono::steady_clock::now() < end) {
  }
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

Session::Session(SharedState& shared, std::size_t worker)
    : shared_(shared),
      worker_(worker),
      stats_(shared.pages.worker(worker)),
      waiting_(shared.hub.workers()),
      wheel_(kTickNs, kWheelSlots, clock_ns()) {
  const ws::CompressionOptions& compression = shared.options.compression;
  if (compression.mode != ws::CompressionOptions::Mode::kOff) compression_.emplace(compression);
}

Session::Client* Session::find(ConnId id) {
  Client* client = clients_.find(id.slot);
  return client != nullptr && client->connection.id() == id ? client : nullptr;
}

// Connections.

void Session::on_accept(ConnId id) {
  Client& client = clients_.emplace(id.slot, id, shared_.options.max_message_bytes);
  client.accepted_ns = engine_->now_ns();
  client.heard_ns = engine_->now_ns();
  client.due_ns = kNever;
  if (!within_address_limits(client)) {
    client.refusal = 429;  // and takes no place from others
  } else if (shared_.connections.fetch_add(1) >= shared_.options.max_connections) {
    client.refusal = 503;
  }
  enter_phase(client);
  ++live_;
  if (drain_deadline_ns_ != 0) engine_->abort(id);  // Accepted in the turn that began the drain.
}

bool Session::within_address_limits(Client& client) {
  AddressLimits& limits = shared_.address_limits;
  if (!limits.enabled()) return true;
  const ConnId id = client.connection.id();
  const Address peer = engine_->peer_address(id);
  if (peer.size == 0) return true;  // Gone already.
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
  receiving_ = client;
  client->connection.receive(input, *engine_, *this);
  if (client->connection.phase() != before) enter_phase(*client);
  if (client->connection.phase() != Connection::Phase::kOpen || !engine_->blocked(id)) return;
  // Who does not read its echo is not read either. A subscriber is, up to the cap of its backlog:
  // it may be sending pings and reading none of the pongs.
  if (!client->subscription) {
    engine_->pause_reading(id);
  } else {
    drop_if_slow(*client);
  }
}

void Session::on_drained(ConnId id) {
  const Client* client = find(id);
  if (client != nullptr && !client->throttled) engine_->resume_reading(id);
}

void Session::on_closed(ConnId id, CloseReason /*reason*/) {
  Client* client = find(id);
  if (client == nullptr) return;
  unsubscribe(*client);
  if (client->counted) stat_set(stats_.connections, stats_.connections - 1);
  if (client->refusal != 429) shared_.connections.fetch_sub(1);
  if (client->limited) shared_.address_limits.leave(peers_[id.slot], engine_->now_ns());
  wheel_.clear(id.slot);
  clients_.erase(id.slot);
  --live_;
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
  if (status == 101 || limited) answer = route(client, request, path);
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

void Session::count_handshake(const Client& client) {
  const std::uint64_t ns = engine_->now_ns() - client.accepted_ns;
  stat_add(stats_.accepted, 1);
  stat_add(stats_.handshake_ns, ns);
  stat_add(stats_.handshake_buckets[handshake_bucket(ns)], 1);
}

Session::Answer Session::route(Client& client, const ws::Request& request, std::string_view path) {
  if (client.refusal != 0) return refusal(client.refusal);
  if (drain_deadline_ns_ != 0) return refusal(503);
  const GateVerdict verdict = check_gate(shared_.options.gate, request, wall_clock_s());
  if (verdict.status != 101) return refusal(verdict.status, verdict.why);
  if (!path.starts_with(kTopicPrefix)) return {};
  return subscribe(client, path.substr(kTopicPrefix.size())) ? Answer{} : refusal(404);
}

bool Session::subscribe(Client& client, std::string_view name) {
  if (!is_topic_name(name)) return false;
  const std::shared_ptr<Topic> topic = shared_.hub.topic(name);
  const std::uint32_t index = topic->add(worker_, client.connection.id());
  client.subscription = std::make_unique<Subscription>(Subscription{topic, index});
  return true;
}

void Session::unsubscribe(Client& client) {
  const std::unique_ptr<Subscription> subscription = std::move(client.subscription);
  if (!subscription) return;
  const std::uint32_t index = subscription->index;
  subscription->topic->remove(worker_, index);
  const std::vector<ConnId>& members = subscription->topic->members(worker_);
  if (index < members.size()) find(members[index])->subscription->index = index;
}

// Messages.

void Session::on_message(Connection& conn, ws::Opcode opcode, std::span<std::uint8_t> payload) {
  stat_add(stats_.messages_in, 1);
  if (shared_.options.handler_delay_ns != 0) burn(shared_.options.handler_delay_ns);
  if (receiving_->subscription) return publish(*receiving_, opcode, payload);
  conn.send(opcode, payload, *engine_);
  stat_add(stats_.messages_out, 1);
}

void Session::on_violation(Connection& /*conn*/) {
  stat_add(stats_.protocol_errors, 1);
}

void Session::publish(Client& client, ws::Opcode opcode, std::span<const std::uint8_t> payload) {
  const auto publication =
      std::make_shared<const Publication>(client.subscription->topic, opcode, payload);
  stat_add(stats_.published, 1);
  hand_over(publication);
  deliver(publication);
  const bool stalled = std::any_of(waiting_.begin(), waiting_.end(),
                                   [](const auto& queue) { return !queue.empty(); });
  if (stalled) throttle(client);
}

void Session::hand_over(const PublicationPtr& publication) {
  for (std::size_t k = 0; k < waiting_.size(); ++k) {
    if (k == worker_ || !publication->topic().has_members(k)) continue;
    PublicationPtr copy = publication;
    if (!waiting_[k].empty() || !shared_.hub.offer(k, copy)) waiting_[k].push_back(std::move(copy));
  }
}

void Session::deliver(const PublicationPtr& publication) {
  for (const ConnId member : publication->topic().members(worker_)) {
    Client* client = find(member);
    if (client->connection.phase() != Connection::Phase::kOpen) continue;
    engine_->send_shared(member, frame_for(*client, publication));
    stat_add(stats_.delivered, 1);
    stat_add(stats_.messages_out, 1);
    drop_if_slow(*client);
  }
}

SharedBytes Session::frame_for(Client& client, const PublicationPtr& publication) {
  const std::uint8_t window_bits = client.connection.window_bits();
  if (window_bits == 0) return {publication, &publication->frame()};
  const Bytes& frame = publication->compressed_frame(*compression_, window_bits);
  if (&frame != &publication->frame()) client.connection.forget_context();
  return {publication, &frame};
}

// A turn may be rich; what counts is what the socket does not take, as its end tells.
void Session::drop_if_slow(Client& client) {
  const ConnId id = client.connection.id();
  if (engine_->queued_bytes(id) <= shared_.options.backlog_cap_bytes) return;
  if (!engine_->blocked(id)) return schedule(client, engine_->now_ns() + kSlowCheckNs);
  // A close frame would stand at the end of the backlog that is not being read.
  client.connection.drop(*engine_);
  enter_phase(client);  // Its timer may be due before the engine lets go of it.
  stat_add(stats_.slow_closed, 1);
}

// A publisher faster than another worker is not read until that one has caught up.
void Session::throttle(Client& client) {
  if (client.throttled) return;
  client.throttled = true;
  throttled_.push_back(client.connection.id());
  engine_->pause_reading(client.connection.id());
  shared_.hub.announce_stall(worker_);
  shared_.hub.waker(worker_).wake();  // The second attempt that announce_stall() asks for.
}

void Session::retry_waiting() {
  if (!offer_waiting()) {
    shared_.hub.announce_stall(worker_);
    if (!offer_waiting()) return;
  }
  for (const ConnId id : std::exchange(throttled_, {})) {
    if (Client* client = find(id)) {
      client->throttled = false;
      engine_->resume_reading(id);
    }
  }
}

// Whether nothing waits any more.
bool Session::offer_waiting() {
  bool empty = true;
  for (std::size_t k = 0; k < waiting_.size(); ++k) {
    std::deque<PublicationPtr>& queue = waiting_[k];
    while (!queue.empty() && shared_.hub.offer(k, queue.front())) queue.pop_front();
    empty = empty && queue.empty();
  }
  return empty;
}

void Session::on_wake() {
  shared_.hub.waker(worker_).acknowledge();
  PublicationPtr publication;
  int taken = 0;
  while (taken < kPublicationsPerTurn && shared_.hub.take(worker_, publication)) {
    deliver(publication);
    ++taken;
  }
  publication.reset();
  if (taken == kPublicationsPerTurn) shared_.hub.waker(worker_).wake();  // for the rest
  if (taken != 0) shared_.hub.wake_stalled(worker_);
  if (!throttled_.empty()) retry_waiting();
  if (shared_.draining.load() && drain_deadline_ns_ == 0) begin_drain();
}

// Time.

void Session::on_tick() {
  const std::uint64_t now = engine_->now_ns();
  stat_set(stats_.allocations, allocations_of_this_thread());
  if (drain_deadline_ns_ != 0 && now >= drain_deadline_ns_) return engine_->stop();
  wheel_.advance(now, [this](std::uint32_t slot) { on_due(slot); });
}

void Session::enter_phase(Client& client) {
  const std::uint64_t now = engine_->now_ns();
  const SessionOptions& options = shared_.options;
  switch (client.connection.phase()) {
    case Connection::Phase::kHandshake:
      return schedule(client, handshake_end(client));
    case Connection::Phase::kOpen:
      return schedule(client, std::min(lifetime_end(client), now + options.idle_timeout_ns / 2));
    case Connection::Phase::kClosing:
    case Connection::Phase::kFinished:
      client.closing =
          std::make_unique<Closing>(Closing{now, now, std::numeric_limits<std::size_t>::max()});
      return schedule(client, now + std::min(kCloseCheckNs, options.close_timeout_ns));
  }
}

std::uint64_t Session::handshake_end(const Client& client) const {
  const std::uint64_t patience_ns = shared_.options.handshake_timeout_ns;
  return client.accepted_ns +
         (client.refusal != 0 ? std::min(kRefusedNs, patience_ns) : patience_ns);
}

std::uint64_t Session::lifetime_end(const Client& client) const {
  const std::uint64_t lifetime_ns = shared_.options.max_lifetime_ns;
  return lifetime_ns != 0 ? client.accepted_ns + lifetime_ns : kNever;
}

void Session::schedule(Client& client, std::uint64_t due_ns) {
  if (due_ns < client.due_ns) client.due_ns = wheel_.set(client.connection.id().slot, due_ns);
}

void Session::on_due(std::uint32_t slot) {
  Client& client = *clients_.find(slot);
  client.due_ns = kNever;
  schedule(client, check_time(client));
}

// Does what the time asks for; when to look again.
std::uint64_t Session::check_time(Client& client) {
  const std::uint64_t now = engine_->now_ns();
  const ConnId id = client.connection.id();
  switch (client.connection.phase()) {
    case Connection::Phase::kHandshake: {
      const std::uint64_t deadline = handshake_end(client);
      if (now < deadline) return deadline;
      engine_->abort(id);
      return kNever;
    }
    case Connection::Phase::kOpen:
      return check_open(client);
    case Connection::Phase::kClosing:
    case Connection::Phase::kFinished:
      break;
  }
  if (!close_is_stuck(client)) {
    return now + std::min(kCloseCheckNs, shared_.options.close_timeout_ns);
  }
  engine_->abort(id);
  return kNever;
}

std::uint64_t Session::check_open(Client& client) {
  const std::uint64_t now = engine_->now_ns();
  const SessionOptions& options = shared_.options;
  const std::uint64_t end = lifetime_end(client);
  if (now >= end) {
    client.connection.close(ws::CloseCode::kGoingAway, "maximum lifetime reached", *engine_);
    enter_phase(client);
    engine_->resume_reading(client.connection.id());
    return kNever;  // enter_phase() has seen to it
  }
  if (client.subscription) drop_if_slow(client);
  const std::uint64_t silent_end = client.heard_ns + options.idle_timeout_ns;
  if (client.pinged && now >= silent_end) {
    engine_->abort(client.connection.id());
    return kNever;
  }
  if (now < client.heard_ns + options.idle_timeout_ns / 2) {
    return std::min(end, client.heard_ns + options.idle_timeout_ns / 2);
  }
  if (client.pinged) return std::min(end, silent_end);
  client.pinged = true;  // Who is still there answers, and is heard; also when we were held up.
  client.connection.ping(*engine_);
  return std::min(end, std::max(silent_end, now + options.idle_timeout_ns / 2));
}

// Its close frame stands behind all that it has not read yet: the peer's time to answer begins when
// it has that. Who takes it in drops may do so for as long as a silent connection may live.
bool Session::close_is_stuck(Client& client) {
  const std::uint64_t now = engine_->now_ns();
  Closing& closing = *client.closing;
  const std::size_t unsent = engine_->unacknowledged_bytes(client.connection.id());
  if (unsent < closing.unsent) closing.moved_ns = now;
  closing.unsent = unsent;
  return now - closing.moved_ns >= shared_.options.close_timeout_ns ||
         now - closing.since_ns >=
             std::max(shared_.options.idle_timeout_ns, shared_.options.close_timeout_ns);
}

// Ending.

void Session::begin_drain() {
  drain_deadline_ns_ = engine_->now_ns() + shared_.options.drain_timeout_ns;
  engine_->stop_accepting();
  clients_.for_each([this](Client& client) {
    if (client.connection.phase() == Connection::Phase::kHandshake) {
      engine_->abort(client.connection.id());
    } else if (client.connection.phase() == Connection::Phase::kOpen) {
      client.connection.close(ws::CloseCode::kGoingAway, "server is stopping", *engine_);
      enter_phase(client);
      engine_->resume_reading(client.connection.id());
    }
  });
  stop_if_drained();
}

void Session::stop_if_drained() {
  if (drain_deadline_ns_ != 0 && live_ == 0) engine_->stop();
}

}  // namespace epulse::server
