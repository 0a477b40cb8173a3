#include "agent/model/by_hand.hpp"

#include <fmt/format.h>

namespace epulse::model {

std::string affinity_by_hand(pid_t tid, const CpuSet& mask) {
  return fmt::format("taskset -pc {} {}", mask.to_string(), tid);
}

std::string socket_buffer_by_hand(pid_t pid, int fd, BufferSide side, uint64_t bytes) {
  return fmt::format("in process {}: setsockopt({}, SOL_SOCKET, {}, {}), half of what it reports",
                     pid, fd, side == BufferSide::kReceive ? "SO_RCVBUF" : "SO_SNDBUF", bytes / 2);
}

std::string setting_by_hand(const std::string& socket, const std::string& name, uint64_t value) {
  if (socket.empty()) {
    return fmt::format("restart epulse-ws with --{} {}, or with --control-socket to set it live",
                       name, value);
  }
  return fmt::format("printf 'set {} {}\\n' | socat - UNIX-CONNECT:{}", name, value, socket);
}

}  // namespace epulse::model
