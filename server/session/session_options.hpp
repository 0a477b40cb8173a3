#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "server/access/address_limits.hpp"
#include "server/access/gate.hpp"
#include "server/session/access_record.hpp"
#include "server/ws/compression_options.hpp"

namespace epulse::server {

// What becomes of a subscriber whose backlog has passed the cap.
enum class SlowPolicy : std::uint8_t {
  kDrop,  // it is reset: a close frame would stand behind what it does not read
  kSkip,  // it stays, and misses what is published until it has caught up
};

struct SessionOptions {
  std::uint32_t max_message_bytes = 16 * 1024 * 1024;  // at most ws::kMaxMessageBytes
  // Of a worker: what messages may hold that have not wholly arrived. A limit per connection alone
  // bounds nothing.
  std::size_t gathering_cap_bytes = std::size_t{256} * 1024 * 1024;
  // Of a worker: what its clients have published and other workers have no room for yet.
  std::size_t outbox_cap_bytes = std::size_t{64} * 1024 * 1024;
  std::size_t max_connections = 0;  // of the whole process
  std::size_t backlog_cap_bytes = std::size_t{1024} * 1024;
  SlowPolicy slow_policy = SlowPolicy::kDrop;
  std::uint64_t handshake_timeout_ns = 10'000'000'000;
  std::uint64_t close_timeout_ns = 2'000'000'000;  // for a closing peer that takes and says nothing
  std::uint64_t idle_timeout_ns = 300'000'000'000;
  std::uint64_t max_lifetime_ns = 0;  // of a connection; 0: no limit
  std::uint64_t drain_timeout_ns = 2'000'000'000;
  ws::CompressionOptions compression{};
  std::vector<std::string> subprotocols{};  // tokens of at most ws::kMaxProtocolChars
  GateOptions gate{};
  AddressLimitOptions address_limits{};
  // Who comes above them is reset at once: to be told 429 takes a handshake of TLS, the greater
  // cost.
  bool limited_are_reset = false;
  // Told of one in `access_sample` connections that asked for something, by the workers' threads.
  std::function<void(const AccessRecord&)> on_access{};
  std::uint32_t access_sample = 1;
  // Heap allocations of the calling thread so far, for the counter; none: it stays 0.
  std::uint64_t (*allocations)() = nullptr;
};

}  // namespace epulse::server
