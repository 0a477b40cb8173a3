#include "tools/report/deliveries.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "tools/report/summary.hpp"

namespace epulse::report {

void Deliveries::on_meta(const record::Meta& meta) {
  for (const auto& [name, value] : meta) meta_[name] = value;
}

void Deliveries::on_interval(const model::EpollSnapshot& interval,
                             const record::ThreadNames& names) {
  keep_names(names_, names);
  for (const model::WorkerStats& worker : interval.workers) {
    if (worker.max_events != 0)
      max_events_[{worker.key.epoll_id, worker.key.tid}] = worker.max_events;
  }
  if (interval.time_ns < from_ns_ || interval.time_ns - interval.duration_ns > to_ns_) return;
  waits_dropped_ += interval.losses.waits_dropped;
  undetailed_ns_ += interval.duration_ns - std::min(interval.duration_ns, interval.detailed_ns);
}

void Deliveries::on_waits(std::span<const epoll_wait_record> waits) {
  for (const epoll_wait_record& wait : waits) {
    if (wait.time_ns < from_ns_ || wait.time_ns > to_ns_) continue;
    Delivery& delivery = all_.emplace_back();
    delivery.time_ns = wait.time_ns;
    delivery.epoll_id = wait.epoll_id;
    delivery.ready_to_delivered_ns = wait.stage_ns[EPOLL_STAGE_READY_TO_DELIVERED];
    delivery.woken_to_running_ns = wait.stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING];
    delivery.running_to_delivered_ns = wait.stage_ns[EPOLL_STAGE_RUNNING_TO_DELIVERED];
    delivery.handler_ns = wait.stage_ns[EPOLL_STAGE_HANDLER];  // of the one before, as yet
    delivery.tid = wait.tid;
    delivery.events = wait.items[EPOLL_ITEMS_BATCH];
  }
}

void Deliveries::on_connections(uint64_t time_ns,
                                std::span<const record::WatchedConnection> connections) {
  for (const record::WatchedConnection& connection : connections) {
    watchers_[{connection.peer, connection.local}][time_ns] = connection.epoll_id;
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
    if (followed) all_[i + 1].busy_before_ns = all_[i].busy_before_ns + all_[i].handler_ns;
  }
  std::sort(all_.begin(), all_.end(), [](const Delivery& a, const Delivery& b) {
    return std::tie(a.epoll_id, a.time_ns) < std::tie(b.epoll_id, b.time_ns);
  });
  for (Delivery& delivery : all_) {
    const auto limit = max_events_.find({delivery.epoll_id, delivery.tid});
    delivery.saturated = limit != max_events_.end() && delivery.events >= limit->second;
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

uint64_t Deliveries::instance_of(const std::string& client, const std::string& server,
                                 uint64_t at_ns) const {
  if (ranges_.size() == 1) return ranges_.begin()->first;
  const auto watchers = watchers_.find({client, server});
  if (watchers == watchers_.end()) return 0;
  // Seen first after it was there: the last one that was seen by then, else who was seen next.
  const auto next = watchers->second.upper_bound(at_ns);
  return next == watchers->second.begin() ? next->second : std::prev(next)->second;
}

}  // namespace epulse::report
