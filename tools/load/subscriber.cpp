#include "tools/load/subscriber.hpp"

#include <algorithm>
#include <optional>

#include "tools/load/one_writer.hpp"
#include "tools/load/stamp.hpp"

namespace epulse::load {
namespace {

constexpr std::uint64_t kBeforeFirst = std::uint64_t{1} << 63;  // what is below 0 wraps to above

}  // namespace

void Subscriber::join() {
  // Without a publisher of ours, another process has one: its number is 0.
  orders_.assign(std::max<std::size_t>(broadcast_.publishers(), 1), {});
  for (std::size_t p = 0; p < broadcast_.publishers(); ++p) {
    broadcast_.publication(p).await(connection_, 0);
  }
}

void Subscriber::leave() {
  for (std::size_t p = 0; p < broadcast_.publishers(); ++p) {
    broadcast_.publication(p).leave(connection_);
  }
}

std::uint64_t Subscriber::missing() const {
  std::uint64_t sum = 0;
  for (std::size_t p = 0; p < broadcast_.publishers(); ++p) {
    sum += broadcast_.publication(p).published() - orders_[p].next();
  }
  return sum;
}

void Subscriber::take(std::span<const std::uint8_t> payload, std::uint64_t now_ns,
                      bool compressible, Counters& counters) {
  const std::optional<Stamp> stamp = read_stamped(payload, compressible);
  if (!stamp || stamp->publisher >= orders_.size()) return counters.error(ErrorKind::kWrongEcho);
  DeliveryOrder& order = orders_[stamp->publisher];
  Publication* publication =
      broadcast_.publishers() == 0 ? nullptr : &broadcast_.publication(stamp->publisher);
  const std::uint64_t sequence = whole_sequence(*stamp, order.next());
  // Of another process's we only know that none comes before the first.
  const bool is_sent =
      publication != nullptr ? sequence < publication->published() : sequence < kBeforeFirst;
  if (!is_sent) return counters.error(ErrorKind::kWrongEcho);

  const DeliveryOrder::Arrival arrival = order.take(sequence);
  if (arrival.turn == DeliveryOrder::Turn::kRepeated) return counters.error(ErrorKind::kDuplicate);
  if (arrival.turn == DeliveryOrder::Turn::kLate) counters.error(ErrorKind::kOrder);
  if (arrival.skipped != 0) counters.error(ErrorKind::kLost, arrival.skipped);
  if (publication != nullptr) publication->await(connection_, order.next());
  add_to(counters.received);
  counters.latency.record(age_ns(*stamp, now_ns));
}

}  // namespace epulse::load
