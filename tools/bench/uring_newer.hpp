#pragma once

#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

// What the kernel's io_uring has and liburing 2.3 (Debian 12) has not: provided buffers that are
// used up bit by bit, of Linux 6.12 (include/uapi/linux/io_uring.h).
namespace epulse::bench {

constexpr std::uint16_t kPbufRingInc = 2;        // IOU_PBUF_RING_INC
constexpr std::uint32_t kCqeBufMore = 1U << 4U;  // IORING_CQE_F_BUF_MORE

// struct io_uring_buf_reg, with the flags that were padding before.
struct BufferRingRegistration {
  std::uint64_t ring_address = 0;
  std::uint32_t entries = 0;
  std::uint16_t group = 0;
  std::uint16_t flags = 0;
  std::uint64_t reserved[3] = {};
};
static_assert(sizeof(BufferRingRegistration) == sizeof(io_uring_buf_reg));

// 0 or an errno.
inline int register_buffer_ring(const io_uring& ring, BufferRingRegistration registration) {
  const long result =
      syscall(__NR_io_uring_register, ring.ring_fd, IORING_REGISTER_PBUF_RING, &registration, 1);
  return result < 0 ? errno : 0;
}

}  // namespace epulse::bench
