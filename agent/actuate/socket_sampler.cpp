#include "agent/actuate/socket_sampler.hpp"

#include <dirent.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "agent/actuate/remote_socket.hpp"
#include "agent/error.hpp"

namespace epulse::actuate {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};

std::optional<int> number(const char* name) {
  int value = 0;
  const char* const end = name + std::strlen(name);
  const auto [at, error] = std::from_chars(name, end, value);
  if (error != std::errc{} || at != end) return std::nullopt;
  return value;
}

// Cheaper than taking every descriptor, and leaves files, pipes and epoll instances alone.
bool links_to_socket(int dir_fd, const char* name) {
  std::array<char, 64> link{};
  const ssize_t size = readlinkat(dir_fd, name, link.data(), link.size());
  return size > 0 &&
         std::string_view(link.data(), static_cast<size_t>(size)).starts_with("socket:[");
}

bool is_established_tcp(int socket) {
  int protocol = 0;
  socklen_t size = sizeof protocol;
  if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0 ||
      protocol != IPPROTO_TCP) {
    return false;
  }
  tcp_info info{};
  size = sizeof info;
  return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
         info.tcpi_state == TCP_ESTABLISHED;
}

std::optional<model::SocketSample> sample(int socket, int fd) {
  std::array<uint32_t, SK_MEMINFO_VARS> memory{};
  socklen_t size = sizeof memory;
  if (getsockopt(socket, SOL_SOCKET, SO_MEMINFO, memory.data(), &size) < 0) return std::nullopt;
  const auto inode = socket_inode(socket);
  if (!inode) return std::nullopt;
  model::SocketSample sample;
  sample.fd = fd;
  sample.inode = *inode;
  sample.rmem_alloc_bytes = memory[SK_MEMINFO_RMEM_ALLOC];
  sample.rcvbuf_bytes = memory[SK_MEMINFO_RCVBUF];
  sample.wmem_queued_bytes = memory[SK_MEMINFO_WMEM_QUEUED];
  sample.sndbuf_bytes = memory[SK_MEMINFO_SNDBUF];
  sample.drops = memory[SK_MEMINFO_DROPS];
  sample.buffer_lock = buffer_lock(socket);
  return sample;
}

}  // namespace

SocketSamples sample_sockets(pid_t pid, size_t max) {
  SocketSamples samples;
  const UniqueFd process = open_process(pid);
  if (!process) return samples;
  const std::string path = fmt::format("/proc/{}/fd", pid);
  const std::unique_ptr<DIR, CloseDir> dir(opendir(path.c_str()));
  if (!dir) {
    if (errno == ENOENT) return samples;
    fail("cannot list {}: {}; run epulsed as root or with CAP_SYS_PTRACE", path, errno_text(errno));
  }
  while (const dirent* const entry = readdir(dir.get())) {
    const auto fd = number(entry->d_name);
    if (!fd || !links_to_socket(dirfd(dir.get()), entry->d_name)) continue;
    const UniqueFd socket = take_descriptor(process, pid, *fd);
    if (!socket || !is_established_tcp(socket.get())) continue;
    if (samples.sockets.size() == max) {
      samples.truncated = true;
      break;
    }
    if (auto taken = sample(socket.get(), *fd)) samples.sockets.push_back(*taken);
  }
  return samples;
}

}  // namespace epulse::actuate
