#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <vector>

#include "agent/model/host_facts.hpp"
#include "agent/model/socket_sample.hpp"

namespace epulse::actuate {

struct SocketSamples {
  std::vector<model::SocketSample> sockets;
  bool truncated = false;  // there were more
};

// The buffers of the first `max` established TCP connections of a process, in order of descriptor.
// Read-only. Empty when the process is gone.
SocketSamples sample_sockets(pid_t pid, size_t max);

// Of these descriptors alone, for a closer look; those that are something else now are left out.
std::vector<model::SocketSample> sample_sockets(pid_t pid, std::span<const int> fds);

// Its listening TCP sockets and the first `connections_max` connections, of its first 1,024
// sockets: what host advice goes by.
model::NetworkSample sample_network(pid_t pid, size_t connections_max);

}  // namespace epulse::actuate
