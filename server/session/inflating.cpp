// Inflating in turns: a few KB of input may inflate to many MB, which takes zlib 4 ms each.
#include <memory>
#include <utility>

#include "server/engine/clock.hpp"
#include "server/session/session.hpp"

namespace epulse::server {

// Its socket is not read meanwhile, so that no more than one input waits.
void Session::wait_for_turn(Client& client) {
  engine_->pause_reading(client.connection.id());
  if (client.inflating || !may_go_on(client)) return;
  client.inflating = true;
  if (inflating_.empty()) {
    inflated_ns_ = clock_ns();
    shared_.hub.waker(worker_).wake();
  }
  const ConnId id = client.connection.id();
  const bool had_its_turn = !inflating_.empty() && inflating_.front() == id;
  inflating_.insert(had_its_turn && is_crowded() ? inflating_.begin() + 1 : inflating_.end(), id);
}

// All who wait hold what they have of their messages: before that is too much, one after the other
// comes to its end.
bool Session::is_crowded() {
  const std::size_t cap = shared_.options.gathering_cap_bytes;
  return compression_->inflaters().is_half_full() || (cap != 0 && gathering_bytes_ > cap / 2);
}

// Neither its answers nor what it publishes are left lying about. Who is asked to close is heard
// for the sake of the answer.
bool Session::may_go_on(const Client& client) const {
  if (client.connection.phase() != Connection::Phase::kOpen) return true;
  return !client.throttled && !is_behind(client);
}

// After a reason not to read it is gone.
void Session::go_on(Client& client) {
  if (client.throttled && client.connection.phase() == Connection::Phase::kOpen) return;
  if (client.connection.waits()) return wait_for_turn(client);
  engine_->resume_reading(client.connection.id());
}

// For as long as the others have had since the last time: so a turn takes them at most twice as
// long, or the time for kInflatedAtOnceBytes longer.
void Session::inflate_for_a_while() {
  const std::uint64_t began_ns = clock_ns();
  const std::uint64_t end_ns = began_ns + (began_ns - inflated_ns_);
  do {
    inflate_some_of(inflating_.front());
    inflating_.erase(inflating_.begin());
  } while (!inflating_.empty() && clock_ns() < end_ns);
  inflated_ns_ = clock_ns();
  if (!inflating_.empty()) shared_.hub.waker(worker_).wake();
}

void Session::inflate_some_of(ConnId id) {
  Client* client = find(id);
  if (client == nullptr) return;
  client->inflating = false;
  if (!client->connection.waits() || !may_go_on(*client)) return;
  const std::size_t gathered_before = client->connection.gathered_bytes();
  std::unique_ptr<Bytes> input = client->connection.take_unread();
  count_gathered(*client, gathered_before);
  engine_->deliver(id, *input);
  compression_->inflaters().give_back(std::move(input));
  client = find(id);
  if (client == nullptr || client->connection.waits()) return;
  go_on(*client);
  if (client->connection.phase() == Connection::Phase::kOpen) pause_if_behind(*client);
}

}  // namespace epulse::server
