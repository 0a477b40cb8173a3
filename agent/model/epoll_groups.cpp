#include "agent/model/epoll_groups.hpp"

#include <algorithm>

namespace epulse::model {
namespace {

template <typename KeyOf>
std::vector<WorkerStats> summed(const std::vector<WorkerStats>& workers, KeyOf key_of) {
  std::vector<WorkerStats> sums;
  std::map<WorkerKey, size_t> places;
  for (const WorkerStats& worker : workers) {
    const WorkerKey key = key_of(worker.key);
    const auto [place, is_new] = places.try_emplace(key, sums.size());
    if (is_new) {
      sums.push_back(worker);
      sums.back().key = key;
      continue;
    }
    WorkerStats& sum = sums[place->second];
    const uint32_t max_events = std::max(sum.max_events, worker.max_events);
    sum.merge(worker);
    sum.max_events = max_events;
  }
  return sums;
}

}  // namespace

std::vector<WorkerStats> by_thread(const std::vector<WorkerStats>& workers) {
  return summed(workers, [](const WorkerKey& key) {
    return WorkerKey{0, key.tid, -1, 0, key.tgid};
  });
}

std::vector<WorkerStats> by_instance(const std::vector<WorkerStats>& workers) {
  // Another process may have the same instance by another descriptor: each shows its own.
  return summed(workers, [](const WorkerKey& key) {
    return WorkerKey{key.epoll_id, key.tgid, key.epfd, 0, key.tgid};
  });
}

}  // namespace epulse::model
