#include "agent/actuate/socket_sampler.hpp"

#include <dirent.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
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

constexpr uint8_t kTcpEstablished = 1;  // net/tcp_states.h, which <linux/tcp.h> leaves out

// nullopt unless it is an established TCP connection.
std::optional<tcp_info> connection_info(int socket) {
  int protocol = 0;
  socklen_t size = sizeof protocol;
  if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0 ||
      protocol != IPPROTO_TCP) {
    return std::nullopt;
  }
  tcp_info info{};
  size = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      info.tcpi_state != kTcpEstablished) {
    return std::nullopt;
  }
  return info;
}

// nullopt unless it is an established TCP connection.
std::optional<model::SocketSample> sample(int socket, int fd) {
  const auto info = connection_info(socket);
  if (!info) return std::nullopt;
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
  sample.received_bytes = info->tcpi_bytes_received;
  sample.acked_bytes = info->tcpi_bytes_acked;
  sample.segment_bytes = info->tcpi_advmss;
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
    if (!socket) continue;
    const auto taken = sample(socket.get(), *fd);
    if (!taken) continue;
    if (samples.sockets.size() == max) {
      samples.truncated = true;
      break;
    }
    samples.sockets.push_back(*taken);
  }
  return samples;
}

std::vector<model::SocketSample> sample_sockets(pid_t pid, std::span<const int> fds) {
  std::vector<model::SocketSample> samples;
  const UniqueFd process = open_process(pid);
  if (!process) return samples;
  for (const int fd : fds) {
    const UniqueFd socket = take_descriptor(process, pid, fd);
    if (!socket) continue;
    if (const auto taken = sample(socket.get(), fd)) samples.push_back(*taken);
  }
  return samples;
}

}  // namespace epulse::actuate
