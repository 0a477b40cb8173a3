#include "tools/report/join.hpp"

#include <algorithm>
#include <string>

namespace epulse::report {
namespace {

// No message is sent and delivered in less: a delivery so short after was under way.
constexpr uint64_t kPathNs = 3'000;
// A message is ready so soon after it was sent, on one machine: what is older was listed before it.
constexpr uint64_t kReadyNs = 50'000;
// So many deliveries of unknown age in a row are passed over.
constexpr size_t kUnknownMax = 16;
// So many full ones in a row are looked through.
constexpr size_t kFullMax = 16384;

uint64_t after(uint64_t later, uint64_t earlier) {
  return later > earlier ? later - earlier : 0;
}

uint64_t oldest_ready_ns(const Delivery& delivery) {
  return after(delivery.time_ns, delivery.ready_to_delivered_ns);
}

// The first delivery at or after a time.
size_t first_from(std::span<const Delivery> deliveries, uint64_t ns) {
  const auto found =
      std::lower_bound(deliveries.begin(), deliveries.end(), ns,
                       [](const Delivery& delivery, uint64_t at) { return delivery.time_ns < at; });
  return static_cast<size_t>(found - deliveries.begin());
}

// Not full, and returned while the message may have been on its way: if then something became ready
// after that, soon enough to be the message, it was.
bool came_too_early(const LoadMessage& message, const Delivery& first, const Delivery& next) {
  if (first.saturated || first.time_ns > message.sent_ns + kReadyNs ||
      next.time_ns > message.received_ns || next.ready_to_delivered_ns == 0) {
    return false;
  }
  const uint64_t ready_ns = oldest_ready_ns(next);
  return ready_ns >= first.time_ns && ready_ns <= message.sent_ns + kReadyNs;
}

// The ready list is first in, first out: when a later delivery had an event that was ready before
// this message, this message was not delivered yet. Some do not know how old their events are;
// those are passed over.
size_t delivery_of(const LoadMessage& message, std::span<const Delivery> deliveries, size_t at) {
  if (at + 1 < deliveries.size() && came_too_early(message, deliveries[at], deliveries[at + 1])) {
    return at + 1;
  }
  const size_t end = std::min(deliveries.size(), at + kFullMax);
  for (size_t next = at + 1; next < end; ++next) {
    const Delivery& later = deliveries[next];
    if (!deliveries[next - 1].saturated || later.time_ns > message.received_ns ||
        next - at > kUnknownMax) {
      break;
    }
    if (later.ready_to_delivered_ns == 0) continue;
    if (oldest_ready_ns(later) > message.sent_ns + kReadyNs) break;
    at = next;
  }
  return at;
}

// From the delivery on.
void attribute_answer(const LoadMessage& message, const Delivery& delivery, uint64_t from_ns,
                      Attribution& result) {
  const uint64_t handled_ns = delivery.time_ns + delivery.handler_ns;
  const uint64_t end_ns = delivery.handler_ns == 0
                              ? message.received_ns
                              : std::clamp(handled_ns, from_ns, message.received_ns);
  result.ns[kJoinHandler] = end_ns - from_ns;
  result.ns[kJoinNetworkClient] = message.received_ns - end_ns;
  result.tid = delivery.tid;
}

std::vector<JoinGroup> groups_of(const LoadRecord& load) {
  std::vector<uint64_t> latencies;
  latencies.reserve(load.messages.size());
  for (const LoadMessage& message : load.messages) {
    if (message.received_ns != 0) latencies.push_back(message.latency_ns());
  }
  std::sort(latencies.begin(), latencies.end());
  const auto quantile = [&](size_t per_mille) {
    return latencies.empty() ? 0 : latencies[(latencies.size() - 1) * per_mille / 1000];
  };
  return {{"all", quantile(0), {}, {}},
          {"p99", quantile(990), {}, {}},
          {"p99.9", quantile(999), {}, {}}};
}

}  // namespace

std::optional<Attribution> attribute(const LoadMessage& message,
                                     std::span<const Delivery> deliveries,
                                     const HandlerTimes& handlers) {
  Attribution result;
  result.ns[kJoinToSend] = message.sent_ns - message.due_ns;
  const size_t first = first_from(deliveries, message.sent_ns + kPathNs);
  if (first == deliveries.size() || deliveries[first].time_ns > message.received_ns) {
    // Read by a handler that was under way, its event being for an earlier message.
    if (first == 0) return std::nullopt;
    const Delivery& under_way = deliveries[first - 1];
    const uint64_t handled_ns = under_way.time_ns + under_way.handler_ns;
    if (handled_ns < message.sent_ns) return std::nullopt;
    attribute_answer(message, under_way, message.sent_ns, result);
    return result;
  }
  const Delivery& delivery = deliveries[delivery_of(message, deliveries, first)];
  const uint64_t ready_ns = delivery.ready_to_delivered_ns == 0
                                ? message.sent_ns
                                : std::max(message.sent_ns, oldest_ready_ns(delivery));
  const uint64_t queue_ns = handlers.between(delivery.tid, ready_ns, delivery.time_ns);
  const uint64_t waits_from_ns = ready_ns + queue_ns;
  const uint64_t running_ns =
      delivery.running_to_delivered_ns == 0
          ? waits_from_ns
          : std::max(waits_from_ns, after(delivery.time_ns, delivery.running_to_delivered_ns));
  const uint64_t woken_ns =
      delivery.running_to_delivered_ns == 0
          ? waits_from_ns
          : std::max(waits_from_ns, after(running_ns, delivery.woken_to_running_ns));
  result.ns[kJoinNetwork] = ready_ns - message.sent_ns;
  result.ns[kJoinQueue] = queue_ns;
  result.ns[kJoinReadyToWoken] = woken_ns - waits_from_ns;
  result.ns[kJoinRunQueue] = running_ns - woken_ns;
  result.ns[kJoinDelivery] = delivery.time_ns - running_ns;
  attribute_answer(message, delivery, delivery.time_ns, result);
  return result;
}

void JoinPart::add(const LoadMessage& message, const Attribution& attribution) {
  ++messages;
  latency_ns += message.latency_ns();
  for (size_t stage = 0; stage < kJoinStages; ++stage) ns[stage] += attribution.ns[stage];
}

double JoinPart::share(size_t stage) const {
  return latency_ns == 0 ? 0 : static_cast<double>(ns[stage]) / static_cast<double>(latency_ns);
}

JoinStage JoinPart::largest() const {
  return static_cast<JoinStage>(std::max_element(ns.begin(), ns.end()) - ns.begin());
}

std::set<Ends> ends_of(const LoadRecord& load) {
  std::set<Ends> ends;
  for (const auto& [number, connection] : load.connections) {
    ends.insert({connection.local, connection.peer});
  }
  return ends;
}

Join join(const LoadRecord& load, const Deliveries& deliveries) {
  Join result;
  result.groups = groups_of(load);
  // Of one instance all are, unless it is seen to serve others alone.
  const std::vector<uint64_t> instances = deliveries.instances();
  const uint64_t only =
      instances.size() == 1 && !deliveries.watches_others_only() ? instances[0] : 0;
  for (const LoadMessage& message : load.messages) {
    if (message.received_ns == 0) {
      ++result.unanswered;
      continue;
    }
    const auto connection = load.connections.find(message.connection);
    const uint64_t seen =
        connection == load.connections.end()
            ? 0
            : deliveries.instance_of({connection->second.local, connection->second.peer},
                                     message.sent_ns);
    const uint64_t instance = seen != 0 ? seen : only;
    if (instance == 0) {
      ++result.of_unknown_connections;
      continue;
    }
    const auto attribution =
        attribute(message, deliveries.of_instance(instance), deliveries.handlers());
    if (!attribution) {
      ++result.without_delivery;
      continue;
    }
    ++result.attributed;
    for (JoinGroup& group : result.groups) {
      if (message.latency_ns() < group.from_ns) continue;
      group.all.add(message, *attribution);
      group.workers[attribution->tid].add(message, *attribution);
    }
  }
  return result;
}

}  // namespace epulse::report
