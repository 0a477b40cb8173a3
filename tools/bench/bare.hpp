#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// What the bare echo loops share: a listening socket, and giving up. They know nothing of WebSocket
// (epulse-load tcp://...) and nothing of slow readers: a connection that does not take its echo at
// once ends the program, and no load of the benchmark makes one.
namespace epulse::bench {

[[noreturn]] inline void give_up(const char* what, int code) {
  std::fprintf(stderr, "bare echo: cannot %s: %s\n", what, std::strerror(code));
  std::exit(2);
}

// Listens on 127.0.0.1 at the port, and says where; port 0 picks one. Others may listen there, too,
// when all say so (SO_REUSEPORT).
inline int listen_on(const char* port, bool with_others) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (with_others) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // Accepted sockets inherit it.
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, generic, size) != 0 || listen(fd, SOMAXCONN) != 0 ||
      getsockname(fd, generic, &size) != 0) {
    give_up("listen", errno);
  }
  std::printf("bare echo: listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return fd;
}

// The same for a program whose only argument is the port.
inline int listen_on(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s PORT\n", argv[0]);
    std::exit(2);
  }
  return listen_on(argv[1], false);
}

}  // namespace epulse::bench
