#pragma once

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <span>
#include <vector>

#include "tools/bench/bare.hpp"

// The least that an echo on epoll can do: one wait per batch, one recv and one send per input.
namespace epulse::bench {

inline constexpr std::size_t kBatch = 512;  // epulse-ws's
inline constexpr std::size_t kInputBytes = std::size_t{64} * 1024;

inline void watch(int epoll, int fd) {
  epoll_event event{EPOLLIN, {.fd = fd}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) give_up("watch a socket", errno);
}

inline void accept_all(int epoll, int listener) {
  for (int fd = 0; fd >= 0;) {
    fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) watch(epoll, fd);
  }
  if (errno != EAGAIN) give_up("accept a connection", errno);
}

inline void echo(int fd, std::span<std::uint8_t> buffer) {
  const ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
  if (n <= 0) {
    close(fd);
    return;
  }
  const ssize_t sent = send(fd, buffer.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL);
  // An error is reported again by the next recv.
  if (sent >= 0 ? sent < n : errno == EAGAIN) give_up("send all of an echo", EAGAIN);
}

[[noreturn]] inline void serve(int listener) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  watch(epoll, listener);
  std::array<epoll_event, kBatch> events;
  std::vector<std::uint8_t> buffer(kInputBytes);
  while (true) {
    const int n = epoll_wait(epoll, events.data(), kBatch, -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      fd == listener ? accept_all(epoll, listener) : echo(fd, buffer);
    }
  }
}

}  // namespace epulse::bench
