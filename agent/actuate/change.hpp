#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "agent/model/cpu_set.hpp"
#include "agent/model/socket_sample.hpp"

// What the agent may change in another process. A change carries the identity of what it is made
// to, so that a reused id is never mistaken for it, and both values, so that it can be undone.
namespace epulse::actuate {

struct ThreadAffinity {
  pid_t pid = 0;
  pid_t tid = 0;
  uint64_t start_ticks = 0;  // of the thread
  std::string name;          // for the reader only
  model::CpuSet old_mask;
  model::CpuSet new_mask;

  bool operator==(const ThreadAffinity&) const = default;
};

struct SocketBuffer {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // of the process
  int fd = -1;
  uint64_t inode = 0;
  model::BufferSide side = model::BufferSide::kReceive;
  uint64_t old_bytes = 0;            // sizes as the kernel reports them
  std::optional<uint32_t> old_lock;  // SO_BUF_LOCK; absent before Linux 5.14
  uint64_t new_bytes = 0;

  bool operator==(const SocketBuffer&) const = default;
};

// Of epulse-ws, over its control socket (docs/server.md).
struct ServerSetting {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // of the process
  std::string socket;        // its path, as the process has it
  std::string name;          // "epoll-batch"
  uint64_t old_value = 0;
  uint64_t new_value = 0;

  bool operator==(const ServerSetting&) const = default;
};

using Change = std::variant<ThreadAffinity, SocketBuffer, ServerSetting>;

// "thread 4711 (ws-worker-1)", "receive buffer of fd 12 of process 4711".
std::string target_text(const Change& change);

// "thread 4711 (ws-worker-1): CPUs 0 -> 1".
std::string describe(const Change& change);

// The same by hand: "taskset -pc 1 4711"; a description where no command does it.
std::string by_hand(const Change& change);
std::string undo_by_hand(const Change& change);

// Both are changes to one thing, so that they must be undone in reverse order.
bool same_target(const Change& a, const Change& b);

}  // namespace epulse::actuate
