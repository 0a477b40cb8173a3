#include "server/session/outbox.hpp"

#include <algorithm>
#include <utility>

namespace epulse::server {

void Outbox::hand_over(const PublicationPtr& publication) {
  for (std::size_t k = 0; k < waiting_.size(); ++k) {
    if (k == worker_ || !is_wanted(publication->topic(), k)) continue;
    PublicationPtr copy = publication;
    if (waiting_[k].empty() && hub_.offer(k, copy)) continue;
    bytes_ += publication->held_bytes();
    waiting_[k].push_back(std::move(copy));
  }
}

bool Outbox::has_to_wait(Topic& topic) {
  for (std::size_t k = 0; k < waiting_.size(); ++k) {
    if (!waiting_[k].empty() && is_wanted(topic, k)) return true;
  }
  return false;
}

bool Outbox::is_wanted(Topic& topic, std::size_t worker) {
  if (topic.has_members(worker)) return true;
  const auto prefixes = hub_.prefixes_of(topic, worker_);
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [worker](const TopicPtr& prefix) { return prefix->has_members(worker); });
}

bool Outbox::retry() {
  for (std::size_t k = 0; k < waiting_.size(); ++k) {
    std::deque<PublicationPtr>& queue = waiting_[k];
    while (!queue.empty()) {
      const std::size_t bytes = queue.front()->held_bytes();
      if (!hub_.offer(k, queue.front())) break;
      bytes_ -= bytes;
      queue.pop_front();
    }
  }
  return empty();
}

}  // namespace epulse::server
