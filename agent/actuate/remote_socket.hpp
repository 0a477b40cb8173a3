#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "agent/model/socket_sample.hpp"
#include "common/unique_fd.hpp"

// Another process's sockets, reached through pidfd_getfd(2): the agent gets its own descriptor of
// the same socket. Held as briefly as can be: while it is, a close() in the target does not end the
// connection.
namespace epulse::actuate {

// An empty UniqueFd when the process is gone.
UniqueFd open_process(pid_t pid);

// An empty UniqueFd when the target has no such descriptor (any more), or has ended.
UniqueFd take_descriptor(const UniqueFd& process, pid_t pid, int fd);

// Inode of a socket; nullopt when `fd` is not one.
std::optional<uint64_t> socket_inode(int fd);

uint64_t buffer_bytes(int socket, model::BufferSide side);

// Sets the size that is reported to `bytes`, beyond net.core.{r,w}mem_max where that is permitted.
void set_buffer_bytes(int socket, model::BufferSide side, uint64_t bytes);

// SO_BUF_LOCK: the sizes that the kernel does not tune because they were set (1 send, 2 receive).
// nullopt before Linux 5.14.
std::optional<uint32_t> buffer_lock(int socket);
void set_buffer_lock(int socket, uint32_t lock);
constexpr uint32_t lock_bit(model::BufferSide side) {
  return side == model::BufferSide::kSend ? 1U : 2U;
}

}  // namespace epulse::actuate
