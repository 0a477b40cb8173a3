#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/engine/engine.hpp"
#include "server/session/mailbox.hpp"
#include "server/session/publication.hpp"

namespace epulse::server {

class Topic;
using TopicPtr = std::shared_ptr<Topic>;

// A topic, or the prefix of topics' names, and its subscribers. Each worker has its own list, which
// no other touches; the counts tell the others whether it is worth handing a message over.
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
  friend class Hub;

  struct alignas(64) Members {
    std::atomic<std::uint32_t> count{0};
    std::vector<ConnId> members;
    // Prefixes of the name, with subscribers of their own, as Hub knew them at this version.
    std::vector<TopicPtr> prefixes;
    std::uint64_t prefixes_version = 0;
  };

  std::string name_;
  std::vector<Members> workers_;
};

// Where the workers of one process meet: topics by name, prefixes of names, and a mailbox for each
// worker.
class Hub {
 public:
  // Throws Error.
  explicit Hub(std::size_t workers);

  std::size_t workers() const { return stations_.size(); }
  Waker& waker(std::size_t worker) { return stations_[worker]->waker; }

  TopicPtr topic(std::string_view name);
  // Whose subscribers get the messages of all topics whose names begin with `text`.
  TopicPtr prefix(std::string_view text);
  // The prefixes of a topic's name that have, or had, subscribers; until the next call. For the
  // thread of `worker` only, and without a lock as long as there are no new ones.
  std::span<const TopicPtr> prefixes_of(Topic& topic, std::size_t worker);

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

  // Those in use, by name.
  struct Topics {
    std::unordered_map<std::string, std::weak_ptr<Topic>> by_name;
    std::size_t sweep_at = 64;

    TopicPtr find(const std::string& name) const;
    void add(const TopicPtr& topic);
  };

  TopicPtr find_or_add(Topics& topics, std::string_view name);

  std::vector<std::unique_ptr<Station>> stations_;
  std::mutex topics_mutex_;  // of all below; taken to subscribe, not to publish
  Topics topics_;
  Topics prefixes_;
  std::atomic<std::uint64_t> prefixes_version_{0};  // grows with each new one
};

}  // namespace epulse::server
