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

std::shared_ptr<Topic> Hub::topic(std::string_view name) {
  const std::lock_guard lock(topics_mutex_);
  std::weak_ptr<Topic>& entry = topics_[std::string(name)];
  std::shared_ptr<Topic> topic = entry.lock();
  if (!topic) {
    topic = std::make_shared<Topic>(std::string(name), stations_.size());
    entry = topic;
  }
  // Names whose last subscriber has gone; at a growing distance, so that it costs little per call.
  if (topics_.size() >= sweep_at_) {
    std::erase_if(topics_, [](const auto& item) { return item.second.expired(); });
    sweep_at_ = 64 + 2 * topics_.size();
  }
  return topic;
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
