#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <span>

#include "tools/load/counters.hpp"
#include "tools/load/options.hpp"
#include "tools/load/shared_array.hpp"

namespace epulse::load {

// The messages of one publisher, and how far each subscriber has got with them.
class Publication {
 public:
  Publication(std::uint32_t publisher, const Options& options);

  // By the publisher's thread.

  // Fills in the next message. `due_ns`: what its latency counts from.
  void compose(std::span<std::uint8_t> payload, std::uint64_t due_ns);
  // Messages that a subscriber still has to get.
  std::size_t in_flight();
  // The end has come: counts the deliveries that are still to be made as timeouts.
  void abandon(std::uint64_t now_ns, Counters& counters) const;

  // By any thread.
  std::uint64_t published() const { return published_[0].load(std::memory_order_acquire); }

  // By the subscriber's thread: it waits for message `next` and those after it.
  void await(std::uint32_t subscriber, std::uint64_t next) {
    awaited_[subscriber].store(next, std::memory_order_release);
  }
  // It waits for none.
  void leave(std::uint32_t subscriber) { await(subscriber, kNone); }

 private:
  static constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();

  bool all_have(std::uint64_t sequence);

  // Other processes look at these.
  SharedArray<std::atomic<std::uint64_t>> published_{1};
  SharedArray<std::atomic<std::uint64_t>> awaited_;  // by subscriber
  std::deque<std::uint64_t> due_;                    // of the messages in flight
  std::uint64_t done_ = 0;                           // messages that all have
  std::size_t seen_ = 0;                             // so many subscribers have the next, too
  std::uint32_t publisher_;
  bool compressible_;
};

// What all threads share: the first connections publish, and all subscribe.
class Broadcast {
 public:
  explicit Broadcast(const Options& options);

  std::size_t publishers() const { return publications_.size(); }
  Publication& publication(std::size_t publisher) { return publications_[publisher]; }

 private:
  std::deque<Publication> publications_;
};

}  // namespace epulse::load
