#pragma once

#include <gtest/gtest.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "agent/kernel/facts.hpp"
#include "agent/probes/socket_probe.hpp"
#include "tests/integration/child.hpp"
#include "tests/integration/program.hpp"

// Sockets that the tests of the socket probe put under known pressure. The test's own descriptors
// serve: a forked child has the same sockets, and it is the child that the probe is for.
namespace epulse::test {

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(int family, int type, int protocol = 0) : fd_(socket(family, type, protocol)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  Socket& operator=(Socket&&) = delete;

  int fd() const { return fd_; }

 private:
  int fd_;
};

inline sockaddr_in loopback(uint16_t port = 0) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Binds to a free port of 127.0.0.1 and returns it.
inline uint16_t bind_to_loopback(int fd) {
  sockaddr_in address = loopback();
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, generic, length) != 0 || getsockname(fd, generic, &length) != 0) return 0;
  return ntohs(address.sin_port);
}

inline void set_receive_buffer(int fd, int bytes) {
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

inline std::array<uint32_t, SK_MEMINFO_VARS> meminfo(int fd) {
  std::array<uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t length = sizeof(info);
  getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info.data(), &length);
  return info;
}

// Sends `count` datagrams of `bytes`; a raw socket puts the header before each.
inline void send_datagrams(int fd, const sockaddr_in& to, int count, size_t bytes = 100) {
  const std::array<char, 1400> datagram{};
  for (int i = 0; i < count; ++i) {
    sendto(fd, datagram.data(), bytes, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  }
}

// Takes all that waits; returns the number of datagrams.
inline int drain(int fd) {
  std::array<char, 2048> datagram{};
  int count = 0;
  while (recv(fd, datagram.data(), datagram.size(), MSG_DONTWAIT) >= 0) ++count;
  return count;
}

inline const socket_record* find(const model::SocketPressure& pressure, int fd) {
  for (const socket_record& socket : pressure.sockets) {
    if (socket.fd == fd) return &socket;
  }
  return nullptr;
}

// A descriptor of our own for a socket that the child has made.
inline Socket socket_of(pid_t pid, int fd) {
  const Socket process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  return Socket(static_cast<int>(syscall(SYS_pidfd_getfd, process.fd(), fd, 0)));
}

// For a child that only has what it was forked with.
inline void nothing(int& /*result*/) {}

// SetUp() skips where BPF is refused.
class Sockets : public testing::Test {
 protected:
  void SetUp() override {
    if (facts_.bpf_errno != 0) GTEST_SKIP() << "BPF is refused here: run as root";
  }
  const kernel::Facts facts_ = kernel::detect();
};

}  // namespace epulse::test
