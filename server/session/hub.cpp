#include "server/session/hub.hpp"

#include <utility>

namespace epulse::server {
namespace {

constexpr std::size_t kMailboxSlots = 4096;
constexpr std::size_t kMailboxBytes = std::size_t{64} * 1024 * 1024;

}  // namespace

std::uint32_t Topic::add(std::size_t worker, ConnId member) {
  Members& local = workers_[worker];
  local.members.push_back(member);
  const auto size = static_cast<std::uint32_t>(local.members.size());
  local.count.store(size, std::memory_order_release);
  return size - 1;
}

void Topic::remove(std::size_t worker, std::uint32_t index) {
  Members& local = workers_[worker];
  local.members[index] = local.members.back();
  local.members.pop_back();
  local.count.store(static_cast<std::uint32_t>(local.members.size()), std::memory_order_release);
}

Hub::Station::Station() : ring(kMailboxSlots) {}

Hub::Hub(std::size_t workers) {
  for (std::size_t k = 0; k < workers; ++k) stations_.push_back(std::make_unique<Station>());
}

TopicPtr Hub::topic(std::string_view name) {
  const std::lock_guard lock(topics_mutex_);
  return find_or_add(topics_, name);
}

TopicPtr Hub::prefix(std::string_view text) {
  const std::lock_guard lock(topics_mutex_);
  return find_or_add(prefixes_, text);
}

TopicPtr Hub::find_or_add(Topics& topics, std::string_view name) {
  TopicPtr topic = topics.find(std::string(name));
  if (topic) return topic;
  topic = std::make_shared<Topic>(std::string(name), stations_.size());
  topics.add(topic);
  if (&topics == &prefixes_) prefixes_version_.fetch_add(1);
  return topic;
}

TopicPtr Hub::Topics::find(const std::string& name) const {
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second.lock();
}

// Names whose last subscriber has gone leave at a growing distance, so that it costs little per
// call.
void Hub::Topics::add(const TopicPtr& topic) {
  by_name[topic->name()] = topic;
  if (by_name.size() < sweep_at) return;
  std::erase_if(by_name, [](const auto& item) { return item.second.expired(); });
  sweep_at = 64 + 2 * by_name.size();
}

std::span<const TopicPtr> Hub::prefixes_of(Topic& topic, std::size_t worker) {
  Topic::Members& local = topic.workers_[worker];
  if (local.prefixes_version == prefixes_version_.load()) return local.prefixes;
  const std::lock_guard lock(topics_mutex_);
  local.prefixes_version = prefixes_version_.load();
  local.prefixes.clear();
  for (std::size_t length = 0; length <= topic.name().size(); ++length) {
    TopicPtr prefix = prefixes_.find(topic.name().substr(0, length));
    if (prefix) local.prefixes.push_back(std::move(prefix));
  }
  return local.prefixes;
}

bool Hub::offer(std::size_t to, PublicationPtr& publication) {
  Station& station = *stations_[to];
  const std::size_t bytes = publication->frame().size();
  // One frame is always let in, however large.
  const std::size_t before = station.bytes.fetch_add(bytes);
  if ((before != 0 && before + bytes > kMailboxBytes) || !station.ring.push(publication)) {
    station.bytes.fetch_sub(bytes);
    return false;
  }
  station.waker.wake();
  return true;
}

bool Hub::take(std::size_t me, PublicationPtr& publication) {
  Station& station = *stations_[me];
  if (!station.ring.pop(publication)) return false;
  station.bytes.fetch_sub(publication->frame().size());
  return true;
}

void Hub::wake_stalled(std::size_t me) {
  for (std::size_t k = 0; k < stations_.size(); ++k) {
    Station& other = *stations_[k];
    if (k != me && other.stalled.load() && other.stalled.exchange(false)) other.waker.wake();
  }
}

}  // namespace epulse::server
