#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

// One connection's buffers as read from outside: what agent/actuate samples and the socket buffer
// tuner decides on. Sizes are as the kernel reports them, which is twice what setsockopt(2) is
// given.
namespace epulse::model {

enum class BufferSide { kReceive, kSend };

struct SocketSample {
  int fd = -1;         // the target's number
  uint64_t inode = 0;  // with fd, the socket's identity
  uint64_t rmem_alloc_bytes = 0;
  uint64_t rcvbuf_bytes = 0;
  uint64_t wmem_queued_bytes = 0;
  uint64_t sndbuf_bytes = 0;
  uint64_t drops = 0;
  // SO_BUF_LOCK: which sizes the kernel leaves alone because somebody set them; absent before 5.14.
  std::optional<uint32_t> buffer_lock;
};

}  // namespace epulse::model
