#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "server/contract/stats_page.h"

struct steering_worker;  // bpf/steering.h

namespace epulse::server {

// What the workers tell the program that gives them connections: set while it is there.
using AcceptLoads = std::atomic<steering_worker*>;

// One worker's part of it. Does nothing while there is no such program.
class AcceptLoad {
 public:
  AcceptLoad(const AcceptLoads& loads, std::size_t worker) : loads_(loads), worker_(worker) {}

  void accepted(std::size_t connections) const;
  void closed(std::size_t connections) const;
  // Connections that were assigned before the last tick and have not come are given up: their
  // clients went away. `stats` tells how deep the worker's ready queue was since then.
  void tick(std::size_t connections, const epulse_stats_worker& stats, std::uint64_t now_ns);

  struct Work {
    std::uint64_t events = 0;
    std::uint64_t turns = 0;
    std::uint64_t busy_ns = 0;
    std::uint64_t elapsed_ns = 0;

    Work operator-(const Work& other) const {
      return {events - other.events, turns - other.turns, busy_ns - other.busy_ns,
              elapsed_ns - other.elapsed_ns};
    }
  };

 private:
  steering_worker* load() const;

  const AcceptLoads& loads_;
  std::size_t worker_;
  std::uint64_t assigned_before_ = 0;
  Work total_;  // until the last tick
};

}  // namespace epulse::server
