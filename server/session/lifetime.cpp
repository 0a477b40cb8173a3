// What time asks for: handshakes that take too long, pings, idle clients, closes that are stuck,
// and the end of all.
#include <algorithm>
#include <limits>
#include <utility>

#include "server/contract/stats_writer.hpp"
#include "server/session/session.hpp"

namespace epulse::server {
namespace {

constexpr std::uint64_t kCloseCheckNs = 1'000'000'000;
constexpr std::uint64_t kRefusedNs = 1'000'000'000;  // for whom there is only a refusal
// A thousand that came together and never spoke are due together, and to reset one takes 20 us: few
// in a turn, more where turns take long, so that timers keep up under any load.
constexpr std::uint64_t kDuePerTurn = 16;
constexpr std::uint64_t kDuePerTurnMax = 512;
constexpr std::uint64_t kTurnPerDueNs = 100'000;

}  // namespace

void Session::on_tick() {
  const std::uint64_t now = engine_->now_ns();
  accept_load_.tick(live_, stats_, now);
  if (shared_.options.allocations != nullptr) {
    stat_set(stats_.allocations, shared_.options.allocations());
  }
  engine_->set_batch(shared_.tunables.epoll_batch.load(std::memory_order_relaxed));
  if (drain_deadline_ns_ != 0 && now >= drain_deadline_ns_) return cut_off();
  look_at_due();
}

// The application and the access log are told of each that is cut off, too, before all ends.
void Session::cut_off() {
  if (std::exchange(cut_off_, true)) return engine_->stop();
  clients_.for_each([this](const Client& client) { engine_->abort(client.connection.id()); });
}

// Those of one turn; the next one follows without waiting while there are more.
void Session::look_at_due() {
  const std::uint64_t now = engine_->now_ns();
  const std::uint64_t turn_ns = more_due_ ? now - looked_ns_ : 0;
  looked_ns_ = now;
  const auto at_most = std::clamp(turn_ns / kTurnPerDueNs, kDuePerTurn, kDuePerTurnMax);
  more_due_ = wheel_.advance(now, at_most, [this](std::uint32_t slot) { on_due(slot); });
  if (more_due_) shared_.hub.waker(worker_).wake();
}

void Session::enter_phase(Client& client) {
  const std::uint64_t now = engine_->now_ns();
  const SessionOptions& options = shared_.options;
  switch (client.connection.phase()) {
    case Connection::Phase::kHandshake:
      return schedule(client, handshake_end(client));
    case Connection::Phase::kOpen:
      return schedule(client, std::min(lifetime_end(client), now + ping_interval_ns(client)));
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
  if (client.subscriptions && options.slow_policy == SlowPolicy::kDrop) drop_if_slow(client);
  const std::uint64_t interval = ping_interval_ns(client);
  const std::uint64_t silent_end = client.heard_ns + 2 * interval;
  if (client.pinged && now >= silent_end) {
    engine_->abort(client.connection.id());
    return kNever;
  }
  if (now < client.heard_ns + interval) return std::min(end, client.heard_ns + interval);
  if (client.pinged) return std::min(end, silent_end);
  client.pinged = true;  // Who is still there answers, and is heard; also when we were held up.
  client.connection.ping(*engine_);
  return std::min(end, std::max(silent_end, now + interval));
}

// Its close frame stands behind all that it has not read yet: the peer's time to answer begins when
// it has that. Who takes it in drops may do so for as long as a silent connection may live.
bool Session::close_is_stuck(Client& client) {
  const std::uint64_t now = engine_->now_ns();
  Closing& closing = *client.closing;
  const std::size_t unsent = engine_->unacknowledged_bytes(client.connection.id());
  // Its answer may be behind what we have not read yet.
  if (unsent < closing.unsent || client.connection.waits()) closing.moved_ns = now;
  closing.unsent = unsent;
  return now - closing.moved_ns >= shared_.options.close_timeout_ns ||
         now - closing.since_ns >= std::max(idle_timeout_ns(), shared_.options.close_timeout_ns);
}

void Session::begin_drain() {
  drain_deadline_ns_ = engine_->now_ns() + shared_.options.drain_timeout_ns;
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
