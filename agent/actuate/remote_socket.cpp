#include "agent/actuate/remote_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <fstream>

#include "agent/error.hpp"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

namespace epulse::actuate {
namespace {

// net.core.rmem_max or wmem_max, half of what a buffer then reports; 0 when it cannot be read.
uint64_t core_limit(const char* name) {
  std::ifstream file(fmt::format("/proc/sys/net/core/{}", name));
  uint64_t bytes = 0;
  return file >> bytes ? bytes : 0;
}

const char* option_name(model::BufferSide side) {
  return side == model::BufferSide::kReceive ? "SO_RCVBUF" : "SO_SNDBUF";
}

}  // namespace

UniqueFd open_process(pid_t pid) {
  UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  // EINVAL, since Linux 6.15 ENOENT: the number is a thread's by now.
  if (!process && errno != ESRCH && errno != EINVAL && errno != ENOENT) {
    fail("cannot open process {}: {}{}", pid, errno_text(errno),
         errno == ENOSYS ? "; pidfd_open needs Linux 5.3" : "");
  }
  return process;
}

UniqueFd take_descriptor(const UniqueFd& process, pid_t pid, int fd) {
  UniqueFd descriptor(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  if (!descriptor && errno != EBADF && errno != ESRCH) {
    fail("cannot reach the sockets of process {}: pidfd_getfd: {}{}", pid, errno_text(errno),
         errno == EPERM    ? "; run epulsed as root or with CAP_SYS_PTRACE"
         : errno == ENOSYS ? "; it needs Linux 5.6"
                           : "");
  }
  return descriptor;
}

std::optional<uint64_t> socket_inode(int fd) {
  struct stat status {};
  if (fstat(fd, &status) < 0 || !S_ISSOCK(status.st_mode)) return std::nullopt;
  return status.st_ino;
}

uint64_t buffer_bytes(int socket, model::BufferSide side) {
  int bytes = 0;
  socklen_t size = sizeof bytes;
  const int option = side == model::BufferSide::kReceive ? SO_RCVBUF : SO_SNDBUF;
  if (getsockopt(socket, SOL_SOCKET, option, &bytes, &size) < 0) {
    fail("cannot read {}: {}", option_name(side), errno_text(errno));
  }
  return bytes < 0 ? 0 : static_cast<uint64_t>(bytes);
}

void set_buffer_bytes(int socket, model::BufferSide side, uint64_t bytes) {
  const bool receive = side == model::BufferSide::kReceive;
  const int half = static_cast<int>(bytes / 2);  // the kernel doubles it, for its own overhead
  const int force = receive ? SO_RCVBUFFORCE : SO_SNDBUFFORCE;
  if (setsockopt(socket, SOL_SOCKET, force, &half, sizeof half) == 0) return;
  if (errno == EPERM) {  // without CAP_NET_ADMIN; what is above the limit would be cut down to it
    const int plain = receive ? SO_RCVBUF : SO_SNDBUF;
    const char* const limit = receive ? "rmem_max" : "wmem_max";
    if (const uint64_t most = core_limit(limit); static_cast<uint64_t>(half) > most) {
      fail(
          "cannot set {} to {} bytes: net.core.{} is {}, and more than twice that takes "
          "CAP_NET_ADMIN",
          option_name(side), bytes, limit, most);
    }
    if (setsockopt(socket, SOL_SOCKET, plain, &half, sizeof half) == 0) return;
  }
  fail("cannot set {} to {} bytes: {}", option_name(side), bytes, errno_text(errno));
}

std::optional<uint32_t> buffer_lock(int socket) {
  uint32_t lock = 0;
  socklen_t size = sizeof lock;
  if (getsockopt(socket, SOL_SOCKET, SO_BUF_LOCK, &lock, &size) == 0) return lock;
  if (errno == ENOPROTOOPT) return std::nullopt;
  fail("cannot read SO_BUF_LOCK: {}", errno_text(errno));
}

void set_buffer_lock(int socket, uint32_t lock) {
  if (setsockopt(socket, SOL_SOCKET, SO_BUF_LOCK, &lock, sizeof lock) < 0) {
    fail("cannot set SO_BUF_LOCK to {}: {}", lock, errno_text(errno));
  }
}

}  // namespace epulse::actuate
