#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "server/session/hub.hpp"

namespace epulse::server {

// One worker's publications on their way to the others: what a full mailbox refused waits here, in
// order.
class Outbox {
 public:
  Outbox(Hub& hub, std::size_t worker) : hub_(hub), worker_(worker), waiting_(hub.workers()) {}

  // To each other worker with a subscriber to its topic, or to a prefix of that.
  void hand_over(const PublicationPtr& publication);

  bool empty() const { return bytes_ == 0; }
  // Whether something is before it, of those that it goes to.
  bool has_to_wait(Topic& topic);
  // Held by what waits; what waits for several workers counts for each.
  std::size_t bytes() const { return bytes_; }
  // Offers again what waits; whether nothing does any more.
  bool retry();

 private:
  bool is_wanted(Topic& topic, std::size_t worker);

  Hub& hub_;
  std::size_t worker_;
  std::vector<std::deque<PublicationPtr>> waiting_;  // by worker
  std::size_t bytes_ = 0;
};

}  // namespace epulse::server
