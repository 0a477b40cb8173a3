#include "server/session/outbox.hpp"

#include <algorithm>
#include <utility>

namespace epulse::server {

void Outbox::hand_over(const PublicationPtr& publication) {
  for (std::size_t k = 0; k < waiting_.size(); ++k) {
    if (k == worker_ || !is_wanted(publication->topic(), k)) continue;
    PublicationPtr copy = publication;
    if (!waiting_[k].empty() || !hub_.offer(k, copy)) waiting_[k].push_back(std::move(copy));
  }
}

bool Outbox::is_wanted(Topic& topic, std::size_t worker) {
  if (topic.has_members(worker)) return true;
  const auto prefixes = hub_.prefixes_of(topic, worker_);
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [worker](const TopicPtr& prefix) { return prefix->has_members(worker); });
}

bool Outbox::empty() const {
  return std::all_of(waiting_.begin(), waiting_.end(),
                     [](const auto& queue) { return queue.empty(); });
}

bool Outbox::retry() {
  for (std::size_t k = 0; k < waiting_.size(); ++k) {
    std::deque<PublicationPtr>& queue = waiting_[k];
    while (!queue.empty() && hub_.offer(k, queue.front())) queue.pop_front();
  }
  return empty();
}

}  // namespace epulse::server
