#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tools/load/broadcast.hpp"
#include "tools/load/counters.hpp"
#include "tools/load/delivery_order.hpp"
#include "tools/load/options.hpp"

namespace epulse::load {

// What one connection gets of a broadcast.
class Subscriber {
 public:
  Subscriber(Broadcast& broadcast, std::uint32_t connection)
      : broadcast_(broadcast), connection_(connection) {}

  // From now on it is to get every message.
  void join();
  // No message waits for it any longer.
  void leave();
  // Messages that it has not got yet.
  std::uint64_t missing() const;

  void take(std::span<const std::uint8_t> payload, std::uint64_t now_ns, bool compressible,
            Counters& counters);

 private:
  Broadcast& broadcast_;
  std::vector<DeliveryOrder> orders_;  // by publisher
  std::uint32_t connection_;
};

}  // namespace epulse::load
