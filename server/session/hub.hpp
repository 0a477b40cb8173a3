#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/engine/engine.hpp"
#include "server/session/mailbox.hpp"
#include "server/session/publication.hpp"

namespace epulse::server {

// A topic and its subscribers. Each worker has its own list, which no other touches; the counts
// tell the others whether it is worth handing a message over.
class Topic {
 public:
  Topic(std::string name, std::size_t workers) : name_(std::move(name)), workers_(workers) {}

  const std::string& name() const { return name_; }
  bool has_members(std::size_t worker) const {
    return workers_[worker].count.load(std::memory_order_acquire) != 0;
  }

  // For the thread of `worker` only. The index is that of the new member in members().
  std::uint32_t add(std::size_t worker, ConnId member);
  // The last member takes the place that becomes free.
  void remove(std::size_t worker, std::uint32_t index);
  const std::vector<ConnId>& members(std::size_t worker) const { return workers_[worker].members; }

 private:
  struct alignas(64) Members {
    std::atomic<std::uint32_t> count{0};
    std::vector<ConnId> members;
  };

  std::string name_;
  std::vector<Members> workers_;
};

// Where the workers of one process meet: topics by name, and a mailbox for each worker.
class Hub {
 public:
  // Throws Error.
  explicit Hub(std::size_t workers);

  std::size_t workers() const { return stations_.size(); }
  Waker& waker(std::size_t worker) { return stations_[worker]->waker; }

  std::shared_ptr<Topic> topic(std::string_view name);

  // Hands a publication to another worker and wakes it. False when its mailbox is full.
  bool offer(std::size_t to, PublicationPtr& publication);
  bool take(std::size_t me, PublicationPtr& publication);

  // A worker whose offer was refused announces it, then offers once more: either that works, or the
  // owner of the full mailbox takes something out later than that and so sees the announcement.
  void announce_stall(std::size_t me) { stations_[me]->stalled.store(true); }
  // Wakes those who wait; after taking from the mailbox.
  void wake_stalled(std::size_t me);

 private:
  struct Station {
    BoundedRing<PublicationPtr> ring;
    Waker waker;
    std::atomic<std::size_t> bytes{0};  // of frames in the ring
    std::atomic<bool> stalled{false};

    Station();
  };

  std::vector<std::unique_ptr<Station>> stations_;
  std::mutex topics_mutex_;  // taken to subscribe, never to publish
  std::unordered_map<std::string, std::weak_ptr<Topic>> topics_;
  std::size_t sweep_at_ = 64;
};

}  // namespace epulse::server
