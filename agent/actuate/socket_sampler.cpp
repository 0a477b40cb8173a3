#include "agent/actuate/socket_sampler.hpp"

#include <dirent.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "agent/actuate/remote_socket.hpp"
#include "agent/error.hpp"

#ifndef SO_INCOMING_NAPI_ID
#define SO_INCOMING_NAPI_ID 56
#endif

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

// net/tcp_states.h, which <linux/tcp.h> leaves out.
constexpr uint8_t kTcpEstablished = 1;
constexpr uint8_t kTcpListen = 10;
// Listening sockets have low numbers: they are opened first.
constexpr size_t kDescriptorsMax = 1024;

// nullopt unless it is a TCP socket.
std::optional<tcp_info> tcp_info_of(int socket) {
  int protocol = 0;
  socklen_t size = sizeof protocol;
  if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0 ||
      protocol != IPPROTO_TCP) {
    return std::nullopt;
  }
  tcp_info info{};
  size = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return info;
}

using Memory = std::array<uint32_t, SK_MEMINFO_VARS>;
std::optional<Memory> memory_of(int socket) {
  Memory memory{};
  socklen_t size = sizeof memory;
  if (getsockopt(socket, SOL_SOCKET, SO_MEMINFO, memory.data(), &size) < 0) return std::nullopt;
  return memory;
}

// nullopt unless it is an established connection.
std::optional<model::SocketSample> sample(int socket, int fd, const tcp_info& info) {
  if (info.tcpi_state != kTcpEstablished) return std::nullopt;
  const auto memory = memory_of(socket);
  const auto inode = socket_inode(socket);
  if (!memory || !inode) return std::nullopt;
  model::SocketSample sample;
  sample.fd = fd;
  sample.inode = *inode;
  sample.rmem_alloc_bytes = memory->at(SK_MEMINFO_RMEM_ALLOC);
  sample.rcvbuf_bytes = memory->at(SK_MEMINFO_RCVBUF);
  sample.wmem_queued_bytes = memory->at(SK_MEMINFO_WMEM_QUEUED);
  sample.sndbuf_bytes = memory->at(SK_MEMINFO_SNDBUF);
  sample.drops = memory->at(SK_MEMINFO_DROPS);
  sample.received_bytes = info.tcpi_bytes_received;
  sample.acked_bytes = info.tcpi_bytes_acked;
  sample.segment_bytes = info.tcpi_advmss;
  sample.buffer_lock = buffer_lock(socket);
  return sample;
}

// Of a listening socket the two fields are its queue and its backlog (tcp_get_info, since 2.6.23).
std::optional<model::ListenerSample> listener(int socket, int fd, const tcp_info& info) {
  const auto memory = memory_of(socket);
  const auto inode = socket_inode(socket);
  if (!memory || !inode) return std::nullopt;
  return model::ListenerSample{.fd = fd,
                               .inode = *inode,
                               .queued = info.tcpi_unacked,
                               .backlog = info.tcpi_sacked,
                               .drops = memory->at(SK_MEMINFO_DROPS)};
}

model::ConnectionSample connection(int socket, const model::SocketSample& sample,
                                   const tcp_info& info) {
  model::ConnectionSample one;
  one.socket = sample;
  std::array<char, 16> name{};  // TCP_CA_NAME_MAX
  socklen_t size = name.size();
  if (getsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, name.data(), &size) == 0) {
    one.congestion_control.assign(name.data(), strnlen(name.data(), name.size()));
  }
  one.rtt_us = info.tcpi_rtt;
  one.segments_out = info.tcpi_segs_out;
  one.retransmits = info.tcpi_total_retrans;
  size = sizeof one.napi_id;
  if (getsockopt(socket, SOL_SOCKET, SO_INCOMING_NAPI_ID, &one.napi_id, &size) != 0) {
    one.napi_id = 0;  // a kernel without CONFIG_NET_RX_BUSY_POLL
  }
  return one;
}

// Our descriptor of each socket of the process, in order of theirs, until one returns false.
void for_each_socket(pid_t pid, const std::function<bool(int socket, int fd)>& visit) {
  const UniqueFd process = open_process(pid);
  if (!process) return;
  const std::string path = fmt::format("/proc/{}/fd", pid);
  const std::unique_ptr<DIR, CloseDir> dir(opendir(path.c_str()));
  if (!dir) {
    if (errno == ENOENT) return;
    fail("cannot list {}: {}; run epulsed as root or with CAP_SYS_PTRACE", path, errno_text(errno));
  }
  while (const dirent* const entry = readdir(dir.get())) {
    const auto fd = number(entry->d_name);
    if (!fd || !links_to_socket(dirfd(dir.get()), entry->d_name)) continue;
    const UniqueFd socket = take_descriptor(process, pid, *fd);
    if (socket && !visit(socket.get(), *fd)) return;
  }
}

}  // namespace

SocketSamples sample_sockets(pid_t pid, size_t max) {
  SocketSamples samples;
  for_each_socket(pid, [&](int socket, int fd) {
    const auto info = tcp_info_of(socket);
    const auto taken = info ? sample(socket, fd, *info) : std::nullopt;
    if (!taken) return true;
    samples.truncated = samples.sockets.size() == max;
    if (!samples.truncated) samples.sockets.push_back(*taken);
    return !samples.truncated;
  });
  return samples;
}

model::NetworkSample sample_network(pid_t pid, size_t connections_max) {
  model::NetworkSample network;
  size_t seen = 0;
  for_each_socket(pid, [&](int socket, int fd) {
    const auto info = tcp_info_of(socket);
    if (info && info->tcpi_state == kTcpListen) {
      if (const auto one = listener(socket, fd, *info)) network.listeners.push_back(*one);
    } else if (info && network.connections.size() < connections_max) {
      if (const auto one = sample(socket, fd, *info)) {
        network.connections.push_back(connection(socket, *one, *info));
      }
    }
    return ++seen < kDescriptorsMax;
  });
  return network;
}

std::vector<model::SocketSample> sample_sockets(pid_t pid, std::span<const int> fds) {
  std::vector<model::SocketSample> samples;
  const UniqueFd process = open_process(pid);
  if (!process) return samples;
  for (const int fd : fds) {
    const UniqueFd socket = take_descriptor(process, pid, fd);
    if (!socket) continue;
    const auto info = tcp_info_of(socket.get());
    const auto taken = info ? sample(socket.get(), fd, *info) : std::nullopt;
    if (taken) samples.push_back(*taken);
  }
  return samples;
}

}  // namespace epulse::actuate
