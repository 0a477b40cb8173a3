#include "common/line_client.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/unique_fd.hpp"

namespace epulse {
namespace {

using std::chrono::steady_clock;

constexpr int kBusyMs = 10;
constexpr std::size_t kAnswerBytesMax = 16U << 20;

[[noreturn]] void fail(const std::string& path, const std::string& why) {
  throw std::runtime_error(fmt::format("{}: {}", path, why));
}

bool wait_readable(int fd, steady_clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
  pollfd readable{fd, POLLIN, 0};
  return left.count() > 0 && poll(&readable, 1, static_cast<int>(left.count())) == 1;
}

pid_t listener_of(int fd) {
  ucred who{};
  socklen_t size = sizeof who;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 ? who.pid : 0;
}

}  // namespace

std::optional<std::string> ask_line(const std::string& path, std::string request, double timeout_s,
                                    pid_t listener) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) fail(path, "too long a path for a socket");
  std::copy(path.begin(), path.end(), address.sun_path);
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) fail(path, std::generic_category().message(errno));
  const auto deadline = steady_clock::now() + std::chrono::duration<double>(timeout_s);
  // EAGAIN: as many wait to be accepted as may.
  while (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EAGAIN && steady_clock::now() < deadline) {
      poll(nullptr, 0, kBusyMs);
      continue;
    }
    if (errno == ECONNREFUSED || errno == ENOENT) return std::nullopt;
    fail(path, std::generic_category().message(errno));
  }
  if (listener != 0 && listener_of(fd.get()) != listener) {
    fail(path, fmt::format("it belongs to process {} now", listener_of(fd.get())));
  }
  request += '\n';
  // It may have been refused already, and the answer says why.
  [[maybe_unused]] const ssize_t sent =
      send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  std::array<char, 16384> chunk{};
  while (answer.find('\n') == std::string::npos) {
    if (!wait_readable(fd.get(), std::chrono::time_point_cast<steady_clock::duration>(deadline))) {
      fail(path, fmt::format("no answer within {} s", timeout_s));
    }
    const ssize_t got = recv(fd.get(), chunk.data(), chunk.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || answer.size() > kAnswerBytesMax) fail(path, "no answer: the connection ended");
    answer.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return answer.substr(0, answer.find('\n'));
}

}  // namespace epulse
