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
  // Since the connection began; 0 before Linux 4.1 and 4.2.
  uint64_t received_bytes = 0;
  uint64_t acked_bytes = 0;    // sent, and acknowledged by the peer
  uint64_t segment_bytes = 0;  // the largest that the peer was told it may send, 0: unknown

  // No window that the receive buffer has room for takes a whole segment: a sender waits for one
  // that does, and sends crumbs now and then (RFC 1122, 4.2.3.4). Nothing is queued here meanwhile.
  bool is_below_a_segment() const { return rcvbuf_bytes < 2 * segment_bytes; }
  // SO_BUF_LOCK: which sizes the kernel leaves alone because somebody set them; absent before 5.14.
  std::optional<uint32_t> buffer_lock;
};

}  // namespace epulse::model
