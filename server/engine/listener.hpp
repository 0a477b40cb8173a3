#pragma once

#include <cstddef>
#include <vector>

#include "server/engine/address.hpp"
#include "server/engine/file_descriptor.hpp"

namespace epulse::server {

// Connections that may wait to be accepted; the kernel lowers it to net.core.somaxconn.
constexpr int kAcceptQueue = 4096;

// One listening socket per worker, all on one port (SO_REUSEPORT).
struct Listeners {
  Address address;  // with the port that was given when 0 was asked for
  std::vector<FileDescriptor> sockets;
  FileDescriptor claim;  // held for as long as the port is ours
};

// Throws Error, also when the port is in use by another process of the same user, which
// SO_REUSEPORT alone would let share it silently.
Listeners open_listeners(const Address& address, std::size_t count);

}  // namespace epulse::server
