#pragma once

#include <functional>
#include <vector>

#include "agent/tuners/socket_buffers.hpp"

namespace epulse::tuners {

// The tuner as the daemon drives it: in each second a survey, ten looks while some are watched, and
// a decision.
class SocketDriver {
 public:
  // The sockets as they are now; called for each survey and look.
  using Sockets = std::function<std::vector<model::SocketSample>()>;

  SocketDriver(const SocketBufferLimits& limits, Sockets sockets)
      : tuner_(limits, 4711), sockets_(std::move(sockets)) {}

  SocketBufferTuner::Decision second() {
    constexpr uint64_t kLookNs = 100'000'000;
    if (!tuner_.is_watching()) tuner_.survey(sockets_(), now_ns_);
    for (int look = 0; look < 10; ++look) {
      now_ns_ += kLookNs;
      if (tuner_.is_watching()) tuner_.look(sockets_(), now_ns_);
    }
    return tuner_.decide(now_ns_);
  }

  SocketBufferTuner& tuner() { return tuner_; }
  uint64_t now_ns() const { return now_ns_; }
  uint64_t now_s() const { return now_ns_ / 1'000'000'000; }

 private:
  SocketBufferTuner tuner_;
  Sockets sockets_;
  uint64_t now_ns_ = 1'000'000'000'000;
};

}  // namespace epulse::tuners
