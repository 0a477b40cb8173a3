#include "tools/report/deliveries.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "tools/report/summary.hpp"

namespace epulse::report {
namespace {

constexpr size_t kLimitsMax = 65536;  // of workers

}  // namespace

void Deliveries::on_meta(const record::Meta& meta) {
  for (const auto& [name, value] : meta) meta_[name] = value;
}

void Deliveries::on_interval(const model::EpollSnapshot& interval,
                             const record::ThreadNames& names) {
  keep_names(names_, names);
  if (!is_wanted(interval.time_ns - std::min(interval.time_ns, interval.duration_ns),
                 interval.time_ns)) {
    return;
  }
  for (const model::WorkerStats& worker : interval.workers) {
    if (max_events_.size() == kLimitsMax) break;
    uint32_t& limit = max_events_[{worker.key.epoll_id, worker.key.tid}];
    limit = std::max(limit, worker.max_events);
  }
  waits_dropped_ += interval.losses.waits_dropped;
  undetailed_ns_ += interval.duration_ns - std::min(interval.duration_ns, interval.detailed_ns);
}

void Deliveries::on_waits(std::span<const epoll_wait_record> waits) {
  for (const epoll_wait_record& wait : waits) {
    if (!is_wanted(wait.time_ns, wait.time_ns)) continue;
    Delivery& delivery = all_.emplace_back();
    delivery.time_ns = wait.time_ns;
    delivery.epoll_id = wait.epoll_id;
    delivery.ready_to_delivered_ns = wait.stage_ns[EPOLL_STAGE_READY_TO_DELIVERED];
    delivery.woken_to_running_ns = wait.stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING];
    delivery.running_to_delivered_ns = wait.stage_ns[EPOLL_STAGE_RUNNING_TO_DELIVERED];
    delivery.handler_ns = wait.stage_ns[EPOLL_STAGE_HANDLER];  // of the one before, as yet
    delivery.tid = wait.tid;
    delivery.events = wait.items[EPOLL_ITEMS_BATCH];
    delivery.saturated = wait.items[EPOLL_ITEMS_LEFT] != 0;
  }
}

void Deliveries::on_connections(uint64_t time_ns,
                                std::span<const record::WatchedConnection> connections) {
  for (const record::WatchedConnection& connection : connections) {
    const Ends ends{connection.peer, connection.local};
    if (wanted_.connections.contains(ends)) {
      watchers_[ends][time_ns] = connection.epoll_id;
    } else {
      others_seen_ = true;
    }
  }
}

void Deliveries::finish() {
  std::sort(all_.begin(), all_.end(), [](const Delivery& a, const Delivery& b) {
    return std::tie(a.tid, a.time_ns) < std::tie(b.tid, b.time_ns);
  });
  // A record has the handler of the thread's delivery before.
  for (size_t i = 0; i < all_.size(); ++i) {
    const bool followed = i + 1 < all_.size() && all_[i + 1].tid == all_[i].tid;
    const uint64_t until_next_ns = followed ? all_[i + 1].time_ns - all_[i].time_ns : 0;
    all_[i].handler_ns = followed ? std::min(all_[i + 1].handler_ns, until_next_ns) : 0;
    if (followed) handlers_.add(all_[i].tid, all_[i].time_ns, all_[i].handler_ns);
  }
  std::sort(all_.begin(), all_.end(), [](const Delivery& a, const Delivery& b) {
    return std::tie(a.epoll_id, a.time_ns) < std::tie(b.epoll_id, b.time_ns);
  });
  for (Delivery& delivery : all_) {
    const auto limit = max_events_.find({delivery.epoll_id, delivery.tid});
    if (limit != max_events_.end() && delivery.events >= limit->second) delivery.saturated = true;
  }
  ranges_.clear();
  for (size_t i = 0; i < all_.size(); ++i) {
    auto& [first, count] = ranges_.try_emplace(all_[i].epoll_id, i, 0).first->second;
    ++count;
  }
}

std::vector<uint64_t> Deliveries::instances() const {
  std::vector<uint64_t> ids;
  ids.reserve(ranges_.size());
  for (const auto& [id, range] : ranges_) ids.push_back(id);
  return ids;
}

std::span<const Delivery> Deliveries::of_instance(uint64_t epoll_id) const {
  const auto range = ranges_.find(epoll_id);
  if (range == ranges_.end()) return {};
  return std::span(all_).subspan(range->second.first, range->second.second);
}

uint64_t Deliveries::instance_of(const Ends& connection, uint64_t at_ns) const {
  const auto watchers = watchers_.find(connection);
  if (watchers == watchers_.end()) return 0;
  // Seen first after it was there: the last one that was seen by then, else who was seen next.
  const auto next = watchers->second.upper_bound(at_ns);
  return next == watchers->second.begin() ? next->second : std::prev(next)->second;
}

}  // namespace epulse::report
