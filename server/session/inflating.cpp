// Inflating in turns: a few KB of input may inflate to many MB, which takes zlib 4 ms each.
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
  inflating_.push_back(client.connection.id());
}

// Neither its answers nor what it publishes are left lying about.
bool Session::may_go_on(const Client& client) const {
  return !client.throttled && !engine_->blocked(client.connection.id());
}

// After a reason not to read it is gone.
void Session::go_on(Client& client) {
  if (client.throttled) return;
  if (client.connection.waits()) return wait_for_turn(client);
  engine_->resume_reading(client.connection.id());
}

// For as long as the others have had since the last time: so a turn takes them at most twice as
// long, or the time for kInflatedAtOnceBytes longer.
void Session::inflate_for_a_while() {
  const std::uint64_t began_ns = clock_ns();
  const std::uint64_t end_ns = began_ns + (began_ns - inflated_ns_);
  do {
    const ConnId id = inflating_.front();
    inflating_.pop_front();
    Client* const client = find(id);
    if (client == nullptr) continue;
    client->inflating = false;
    if (!client->connection.waits() || !may_go_on(*client)) continue;
    const std::size_t gathered_before = client->connection.gathered_bytes();
    Bytes input = client->connection.take_unread();
    count_gathered(*client, gathered_before);
    engine_->resume_reading(id);
    on_data(id, input);
  } while (!inflating_.empty() && clock_ns() < end_ns);
  inflated_ns_ = clock_ns();
  if (!inflating_.empty()) shared_.hub.waker(worker_).wake();
}

}  // namespace epulse::server
