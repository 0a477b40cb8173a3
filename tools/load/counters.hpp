#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tools/load/distribution.hpp"
#include "tools/load/one_writer.hpp"

namespace epulse::load {

enum class ErrorKind : std::uint8_t {
  kConnect,    // no TCP connection
  kTls,        // no TLS on it
  kHandshake,  // no WebSocket on it
  kClosed,     // the server ended it before we did
  kProtocol,   // the server broke RFC 6455
  kWrongEcho,  // a message came back changed
  kUninvited,  // a message came that answers none of ours
  kTimeout,    // not answered, or not even taken by the socket, until the end
  kDuplicate,  // broadcast: came again
  kOrder,      // broadcast: came after a later one of its publisher
  kLost,       // in flight when its connection ended; broadcast: later ones came and it did not
  kUnsent,     // due, but its connection was not there
};
constexpr std::array<std::string_view, 12> kErrorNames = {
    "connect",   "tls",     "handshake", "closed", "protocol", "wrong_echo",
    "uninvited", "timeout", "duplicate", "order",  "lost",     "unsent"};
constexpr std::size_t index_of(ErrorKind kind) {
  return static_cast<std::size_t>(kind);
}
using ErrorCounts = std::array<std::uint64_t, kErrorNames.size()>;

// What one thread has seen; another reads it meanwhile.
struct Counters {
  std::atomic<std::uint64_t> sent{0};
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> connected{0};       // open now
  std::atomic<std::uint64_t> opened{0};          // opened ever
  std::atomic<std::uint64_t> compressed{0};      // of these, with permessage-deflate
  std::atomic<std::uint64_t> pings{0};           // of the server, answered
  std::atomic<std::uint64_t> tls_handshakes{0};  // done
  std::atomic<std::uint64_t> tls_resumed{0};     // of these, of an earlier session
  // What came out of order had been taken for lost, and still is here: so no count ever goes down
  // while another thread reads. Totals makes it good.
  std::array<std::atomic<std::uint64_t>, kErrorNames.size()> errors{};
  std::atomic<pid_t> thread{0};  // who counts
  LiveDistribution latency;
  LiveDistribution lag;  // open loop: how late messages left

  void error(ErrorKind kind, std::uint64_t count = 1) { add_to(errors[index_of(kind)], count); }
};

}  // namespace epulse::load
