#include "server/control/control_socket.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "server/control/settings.hpp"
#include "server/error.hpp"

namespace epulse::server {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMaxClients = 16;
constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::milliseconds kRetry{100};
constexpr int kBacklog = 16;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    fail("'{}' is no path for a control socket: it takes 1 to {} bytes", path,
         sizeof address.sun_path - 1);
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

FileDescriptor unix_socket() {
  FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) fail("cannot make a control socket: {}; raise ulimit -n", errno_text(errno));
  return fd;
}

// Throws unless its file may be replaced: there is none, or it is a socket that nobody listens on.
void check_unused(const std::string& path, const sockaddr_un& address) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode)) {
    fail("'{}' is there and no socket; remove it, or choose another --control-socket", path);
  }
  const FileDescriptor probe = unix_socket();
  if (connect(probe.get(), generic(address), sizeof address) == 0 || errno == EAGAIN) {
    fail("'{}' belongs to a running server; choose another --control-socket", path);
  }
}

bool may_control(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}

// An answer that does not fit into the socket is of one who does not read.
bool say(int fd, std::string text) {
  text += '\n';
  return send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(text.size());
}

}  // namespace

ControlSocket::ControlSocket(std::string path, Tunables& tunables, bool replace)
    : path_(std::move(path)),
      tunables_(tunables),
      listener_(unix_socket()),
      stop_(eventfd(0, EFD_CLOEXEC)) {
  if (!stop_) fail("cannot make an eventfd: {}; raise ulimit -n", errno_text(errno));
  bind_to_path(replace);
  thread_ = std::thread([this] { run(); });
}

ControlSocket::~ControlSocket() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
  struct stat status {};
  if (lstat(path_.c_str(), &status) == 0 && status.st_ino == inode_) unlink(path_.c_str());
}

// Under another name first: so there is no moment without a socket, or with one of the wrong mode.
void ControlSocket::bind_to_path(bool replace) {
  if (!replace) check_unused(path_, address_of(path_));
  const std::string draft = path_ + '.' + std::to_string(getpid());
  const sockaddr_un address = address_of(draft);
  unlink(draft.c_str());
  struct stat status {};
  if (bind(listener_.get(), generic(address), sizeof address) != 0 ||
      chmod(draft.c_str(), S_IRUSR | S_IWUSR) != 0 || listen(listener_.get(), kBacklog) != 0 ||
      lstat(draft.c_str(), &status) != 0 || std::rename(draft.c_str(), path_.c_str()) != 0) {
    const int code = errno;
    unlink(draft.c_str());
    fail("cannot make the control socket '{}': {}; is its directory there, and writable?", path_,
         errno_text(code));
  }
  inode_ = status.st_ino;
}

void ControlSocket::run() {
  std::vector<pollfd> polled;
  bool accepting = true;
  while (true) {
    const auto wanted = static_cast<short>(accepting ? POLLIN : 0);
    polled = {{stop_.get(), POLLIN, 0}, {listener_.get(), wanted, 0}};
    for (const Client& client : clients_) polled.push_back({client.fd.get(), POLLIN, 0});
    const int timeout_ms = clients_.empty() && accepting ? -1 : 1000;
    // Fails for lack of memory, or a signal: nothing is ready then, and it is tried again.
    if (poll(polled.data(), polled.size(), timeout_ms) < 0) {
      std::this_thread::sleep_for(kRetry);
      continue;
    }
    if (polled[0].revents != 0) return;
    const auto now = steady_clock::now();
    std::size_t index = 2;
    std::erase_if(clients_, [&](Client& client) {
      const bool readable = polled[index++].revents != 0;
      if (readable) client.heard = now;
      return readable ? !serve(client) : now - client.heard > kPatience;
    });
    accepting = polled[1].revents == 0 || accept_client();
  }
}

// False when it is of no use to try again at once: who waits would be reported without end while
// there are no descriptors.
bool ControlSocket::accept_client() {
  FileDescriptor fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;
  if (!may_control(fd.get())) {
    say(fd.get(), R"({"version":1,"error":"only root and the server's own user may do this"})");
  } else if (clients_.size() >= kMaxClients) {
    say(fd.get(), R"({"version":1,"error":"too many clients; close some"})");
  } else {
    clients_.push_back({std::move(fd), {}, steady_clock::now()});
  }
  return true;
}

// Whether to keep it.
bool ControlSocket::serve(Client& client) {
  std::array<char, kMaxControlLine> buffer{};
  const ssize_t n = recv(client.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  client.line.append(buffer.data(), static_cast<std::size_t>(n));
  return answer_lines(client);
}

bool ControlSocket::answer_lines(Client& client) {
  for (std::size_t end = 0; (end = client.line.find('\n')) != std::string::npos;) {
    const std::string line = client.line.substr(0, end);
    client.line.erase(0, end + 1);
    if (!say(client.fd.get(), answer_control(line, tunables_))) return false;
  }
  if (client.line.size() <= kMaxControlLine) return true;
  say(client.fd.get(), R"({"version":1,"error":"a line of more than 256 bytes"})");
  return false;
}

}  // namespace epulse::server
