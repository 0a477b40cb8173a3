#pragma once

#include <cstddef>
#include <vector>

#include "common/unique_fd.hpp"
#include "server/engine/address.hpp"

namespace epulse::server {

// Connections that may wait to be accepted; the kernel lowers it to net.core.somaxconn.
constexpr int kAcceptQueue = 4096;

// One listening socket per worker, all on one port (SO_REUSEPORT).
struct Listeners {
  Address address;  // with the port that was given when 0 was asked for
  std::vector<UniqueFd> sockets;
  UniqueFd claim;  // held for as long as the port is ours
};

// Throws Error, also when the port is in use by another process of the same user, which
// SO_REUSEPORT alone would let share it silently.
Listeners open_listeners(const Address& address, std::size_t count);

// Descriptors of another process's Listeners, as this process has inherited them.
struct InheritedListeners {
  std::vector<int> sockets;
  int claim = -1;
};

// Takes them over, and opens more where `count` is greater. Connections that wait in their queues
// are accepted by either process. Throws Error when they are no listening sockets, or more than
// `count`, so that one would be without a worker, or not on `address`, unless that has port 0.
Listeners adopt_listeners(const Address& address, std::size_t count,
                          const InheritedListeners& inherited);

}  // namespace epulse::server
