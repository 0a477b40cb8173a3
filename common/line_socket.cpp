#include "common/line_socket.hpp"

#include <fmt/format.h>
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
#include <stdexcept>
#include <system_error>
#include <utility>

namespace epulse {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMaxClients = 16;
// What our clients take (common/line_client.cpp); all of them together, at most 128 MiB here.
constexpr std::size_t kAnswerBytesMax = 8U << 20;
constexpr std::chrono::milliseconds kLook{1000};
constexpr std::chrono::milliseconds kRetry{100};
constexpr int kBacklog = 16;

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw std::runtime_error(fmt::format(format, std::forward<Args>(args)...));
}

std::string errno_text(int code) {
  return std::generic_category().message(code);
}

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

UniqueFd unix_socket() {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) fail("cannot make a control socket: {}; raise ulimit -n", errno_text(errno));
  return fd;
}

// Throws unless its file may be replaced: there is none, or it is a socket that nobody listens on.
void check_unused(const LineSocketOptions& options) {
  struct stat status {};
  if (lstat(options.path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode)) {
    fail("'{}' is there and no socket; remove it, or {}", options.path, options.remedy);
  }
  const sockaddr_un address = address_of(options.path);
  const UniqueFd probe = unix_socket();
  if (connect(probe.get(), generic(address), sizeof address) == 0 || errno == EAGAIN) {
    fail("'{}' belongs to a running {}; {}", options.path, options.owner, options.remedy);
  }
}

// The main group of the peer and all others that it had when it connected.
std::vector<gid_t> groups_of(int fd, gid_t main_group) {
  std::vector<gid_t> groups(256);
  auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) size = 0;
  groups.resize(size / sizeof(gid_t));
  groups.push_back(main_group);
  return groups;
}

std::string error_line(std::string_view why) {
  return fmt::format(R"({{"version":1,"error":"{}"}})", why);
}

// To one who is turned away: what does not fit into its socket is not waited for.
bool say_error(int fd, std::string_view why) {
  const std::string text = error_line(why) + '\n';
  return send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(text.size());
}

}  // namespace

LineSocket::LineSocket(LineSocketOptions options, Answer answer)
    : options_(std::move(options)),
      answer_(std::move(answer)),
      listener_(unix_socket()),
      stop_(eventfd(0, EFD_CLOEXEC)) {
  if (!stop_) fail("cannot make an eventfd: {}; raise ulimit -n", errno_text(errno));
  bind_to_path();
  thread_ = std::thread([this] { run(); });
}

LineSocket::~LineSocket() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
  struct stat status {};
  if (lstat(options_.path.c_str(), &status) == 0 && status.st_ino == inode_) {
    unlink(options_.path.c_str());
  }
}

// Under another name first: so there is no moment without a socket, or with one of the wrong mode.
void LineSocket::bind_to_path() {
  if (!options_.replace) check_unused(options_);
  const std::string draft = options_.path + '.' + std::to_string(getpid());
  const sockaddr_un address = address_of(draft);
  unlink(draft.c_str());
  const mode_t mode = S_IRUSR | S_IWUSR | (options_.group ? S_IRGRP | S_IWGRP : 0U);
  const gid_t group = options_.group.value_or(static_cast<gid_t>(-1));
  struct stat status {};
  // Its mode before its group: until then nobody but us may connect.
  if (bind(listener_.get(), generic(address), sizeof address) != 0 ||
      chmod(draft.c_str(), S_IRUSR | S_IWUSR) != 0 ||
      chown(draft.c_str(), static_cast<uid_t>(-1), group) != 0 || chmod(draft.c_str(), mode) != 0 ||
      listen(listener_.get(), kBacklog) != 0 || lstat(draft.c_str(), &status) != 0 ||
      std::rename(draft.c_str(), options_.path.c_str()) != 0) {
    const int code = errno;
    unlink(draft.c_str());
    fail("cannot make the control socket '{}': {}; is its directory there, and writable?",
         options_.path, errno_text(code));
  }
  inode_ = status.st_ino;
}

void LineSocket::run() {
  std::vector<pollfd> polled;
  bool accepting = true;
  const int wait_ms = static_cast<int>(std::min(options_.patience, kLook).count());
  while (true) {
    const auto wanted = static_cast<short>(accepting ? POLLIN : 0);
    polled = {{stop_.get(), POLLIN, 0}, {listener_.get(), wanted, 0}};
    for (const Client& client : clients_) {
      const auto events = static_cast<short>(client.answer.empty() ? POLLIN : POLLOUT);
      polled.push_back({client.fd.get(), events, 0});
    }
    const int timeout_ms = clients_.empty() && accepting ? -1 : wait_ms;
    // Fails for lack of memory, or a signal: nothing is ready then, and it is tried again.
    if (poll(polled.data(), polled.size(), timeout_ms) < 0) {
      std::this_thread::sleep_for(kRetry);
      continue;
    }
    if (polled[0].revents != 0) return;
    const auto now = steady_clock::now();
    std::size_t index = 2;
    std::erase_if(clients_, [&](Client& client) {
      const bool is_ready = polled[index++].revents != 0;
      return (is_ready && !serve(client)) || now - client.since > options_.patience;
    });
    accepting = polled[1].revents == 0 || accept_client();
  }
}

// False when it is of no use to try again at once: who waits would be reported without end while
// there are no descriptors.
bool LineSocket::accept_client() {
  UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;
  if (!may_talk(fd.get())) {
    say_error(fd.get(), fmt::format("only root and the {}'s own user{} may do this", options_.owner,
                                    options_.group ? " and group" : ""));
  } else if (clients_.size() >= kMaxClients) {
    say_error(fd.get(), "too many clients; close some");
  } else {
    clients_.push_back({std::move(fd), {}, {}, steady_clock::now()});
  }
  return true;
}

bool LineSocket::may_talk(int fd) const {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == 0 || peer.uid == geteuid()) return true;
  if (!options_.group) return false;
  const std::vector<gid_t> groups = groups_of(fd, peer.gid);
  return std::find(groups.begin(), groups.end(), *options_.group) != groups.end();
}

// Whether to keep it.
bool LineSocket::serve(Client& client) {
  if (client.answer.empty() && !hear(client)) return false;
  return answer_lines(client);
}

bool LineSocket::hear(Client& client) const {
  std::array<char, 256> buffer{};
  const ssize_t n = recv(client.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (client.line.empty()) client.since = steady_clock::now();
  client.line.append(buffer.data(), static_cast<std::size_t>(n));
  return n > 0;
}

// One answer after the other, each as fast as the client reads it: it may be larger than the
// socket's buffer.
bool LineSocket::answer_lines(Client& client) {
  while (true) {
    if (!client.answer.empty()) {
      const ssize_t n = send(client.fd.get(), client.answer.data(), client.answer.size(),
                             MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0) return errno == EAGAIN || errno == EINTR;
      client.answer.erase(0, static_cast<std::size_t>(n));
      continue;
    }
    const std::size_t end = client.line.find('\n');
    if (end == std::string::npos) break;
    client.answer = answer_(client.line.substr(0, end));
    client.since = steady_clock::now();
    if (client.answer.size() > kAnswerBytesMax) {
      client.answer = error_line(fmt::format("an answer of {} bytes, more than {}",
                                             client.answer.size(), kAnswerBytesMax));
    }
    client.answer += '\n';
    client.line.erase(0, end + 1);
  }
  if (client.line.size() <= options_.line_bytes_max) return true;
  say_error(client.fd.get(), fmt::format("a line of more than {} bytes", options_.line_bytes_max));
  return false;
}

std::string path_of_bound(const std::string& bound) {
  const std::size_t dot = bound.rfind('.');
  const bool is_draft = dot != std::string::npos && dot + 1 < bound.size() &&
                        bound.find_first_not_of("0123456789", dot + 1) == std::string::npos;
  return is_draft ? bound.substr(0, dot) : bound;
}

}  // namespace epulse
