#include "server/engine/listener.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include "server/error.hpp"

namespace epulse::server {
namespace {

constexpr int kPatience = 50;

[[noreturn]] void refuse(const Address& address, int code) {
  const char* remedy = "give an address of this machine with --listen";
  if (code == EADDRINUSE) {
    remedy = "choose another port with --listen or stop the process that holds it";
  } else if (code == EACCES) {
    remedy = "ports below 1024 need CAP_NET_BIND_SERVICE; choose another with --listen";
  } else if (code == EMFILE || code == ENFILE) {
    remedy = "raise the limit of open files (ulimit -n)";
  }
  fail("cannot listen on {}: {}; {}", address.text(), errno_text(code), remedy);
}

void set_option(int fd, int level, int name, const Address& address) {
  const int on = 1;
  if (setsockopt(fd, level, name, &on, sizeof on) != 0) refuse(address, errno);
}

// Tries again so many times, ten milliseconds apart, while the port is in use.
UniqueFd bound_socket(const Address& address, bool share_port, int patience = 0) {
  UniqueFd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) refuse(address, errno);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, address);
  if (share_port) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, address);
  while (bind(fd.get(), address.get(), address.size) != 0) {
    if (errno != EADDRINUSE || patience-- == 0) refuse(address, errno);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return fd;
}

// An abstract Unix socket named after the port: the kernel lets one process of the network
// namespace have it, and takes it back when that process ends. It closes the gap between the probe
// below and our own bind, in which a second epulse-ws could slip through.
UniqueFd claim_port(const Address& address) {
  const std::string name = "epulse-ws/" + address.text();
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  std::copy(name.begin(), name.end(), un.sun_path + 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) refuse(address, errno);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&un), size) != 0) refuse(address, errno);
  return fd;
}

UniqueFd listening_socket(const Address& address) {
  UniqueFd fd = bound_socket(address, true);
  // Accepted sockets inherit it: no call per connection.
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, address);
  if (listen(fd.get(), kAcceptQueue) != 0) refuse(address, errno);
  return fd;
}

void open_up_to(std::size_t count, Listeners& listeners) {
  while (listeners.sockets.size() < count) {
    listeners.sockets.push_back(listening_socket(listeners.address));
  }
}

bool listens(int fd) {
  int on = 0;
  socklen_t size = sizeof on;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on != 0;
}

}  // namespace

Listeners open_listeners(const Address& address, std::size_t count) {
  Listeners listeners;
  listeners.address = address;
  if (address.port() == 0) {  // The kernel never gives a port that somebody has.
    listeners.sockets.push_back(listening_socket(address));
    listeners.address = local_address(listeners.sockets[0].get());
    listeners.claim = claim_port(listeners.address);
  } else {
    listeners.claim = claim_port(address);
    // Without SO_REUSEPORT a bind fails if anybody listens there, sharing or not. Patiently: the
    // kernel takes an io_uring apart, and lets go of its listener, a moment after its process
    // ended.
    bound_socket(address, false, kPatience);
  }
  open_up_to(count, listeners);
  return listeners;
}

Listeners adopt_listeners(const Address& address, std::size_t count,
                          const InheritedListeners& inherited) {
  Listeners listeners;
  if (fcntl(inherited.claim, F_SETFD, FD_CLOEXEC) != 0) {
    fail("cannot take over descriptor {}: {}", inherited.claim, errno_text(errno));
  }
  listeners.claim = UniqueFd(inherited.claim);
  for (const int fd : inherited.sockets) {
    if (!listens(fd)) fail("cannot take over descriptor {}: it is no listening socket", fd);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    listeners.sockets.emplace_back(fd);
  }
  if (listeners.sockets.empty() || listeners.sockets.size() > count) {
    fail("cannot take over {} listening sockets with {} workers; give --workers {}",
         listeners.sockets.size(), count, listeners.sockets.size());
  }
  listeners.address = local_address(listeners.sockets[0].get());
  const std::string wanted = address.text();
  if (address.port() != 0 && listeners.address.text() != wanted) {
    fail("cannot take over {} to listen on {}; stop epulse-ws and start it again to change that",
         listeners.address.text(), wanted);
  }
  open_up_to(count, listeners);
  return listeners;
}

}  // namespace epulse::server
