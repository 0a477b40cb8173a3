#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <vector>

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

}  // namespace epulse::actuate
