#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>

// recv(2) and send(2) as the kernel has them. In a program with threads the C library's are
// cancellation points, each with two atomic operations of its own; nobody cancels our threads.
namespace epulse::server {

// errno on -1, as with recv().
inline ssize_t receive_bytes(int fd, void* to, std::size_t room) {
  return syscall(SYS_recvfrom, fd, to, room, 0, nullptr, nullptr);
}

inline ssize_t send_bytes(int fd, const void* from, std::size_t bytes, int flags) {
  return syscall(SYS_sendto, fd, from, bytes, flags, nullptr, 0);
}

}  // namespace epulse::server
