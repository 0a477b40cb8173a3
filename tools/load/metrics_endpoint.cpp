#include "tools/load/metrics_endpoint.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tools/load/clock.hpp"
#include "tools/load/error.hpp"
#include "tools/load/target.hpp"

namespace epulse::load {
namespace {

constexpr std::size_t kMaxScrapes = 16;
constexpr std::size_t kMaxRequestBytes = 8192;
constexpr std::uint64_t kScrapeTimeoutNs = 5 * kSecondNs;

int listen_on(const std::string& address) {
  Target target;
  try {
    target = parse_url("tcp://" + address);
    if (!address.ends_with(":" + target.port)) fail("no port");
    resolve(target);
  } catch (const Error&) {
    fail("cannot offer metrics on '{}': write it as ADDRESS:PORT", address);
  }
  const int fd = socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (fd < 0 ||
      bind(fd, reinterpret_cast<const sockaddr*>(&target.address), target.address_size) != 0 ||
      listen(fd, kMaxScrapes) != 0) {
    const int code = errno;
    if (fd >= 0) close(fd);
    fail("cannot offer metrics on {}: {}; is the port free, and the address this machine's?",
         address, errno_text(code));
  }
  return fd;
}

std::string response(std::string_view status, std::string_view body) {
  return fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n"
      "Connection: close\r\n\r\n{}",
      status, body.size(), body);
}

}  // namespace

MetricsEndpoint::MetricsEndpoint(const std::string& address) : fd_(listen_on(address)) {}

MetricsEndpoint::~MetricsEndpoint() {
  for (const Scrape& scrape : scrapes_) close(scrape.fd);
  close(fd_);
}

void MetricsEndpoint::add_to(std::vector<pollfd>& waiting) const {
  // Who comes when all places are taken waits in the backlog.
  if (scrapes_.size() < kMaxScrapes) waiting.push_back({fd_, POLLIN, 0});
  for (const Scrape& scrape : scrapes_) {
    const bool asked = !scrape.answer.empty();
    waiting.push_back({scrape.fd, static_cast<short>(asked ? POLLOUT : POLLIN), 0});
  }
}

void MetricsEndpoint::serve(const std::function<std::string()>& render, std::uint64_t now_ns) {
  accept_all(now_ns);
  std::erase_if(scrapes_, [&](Scrape& scrape) {
    const bool done = now_ns >= scrape.until_ns ||
                      (scrape.answer.empty() && receive(scrape, render)) ||
                      (!scrape.answer.empty() && send_some(scrape));
    if (done) close(scrape.fd);
    return done;
  });
}

void MetricsEndpoint::accept_all(std::uint64_t now_ns) {
  while (scrapes_.size() < kMaxScrapes) {
    const int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    scrapes_.push_back({fd, now_ns + kScrapeTimeoutNs, {}, {}});
  }
}

bool MetricsEndpoint::receive(Scrape& scrape, const std::function<std::string()>& render) {
  std::array<char, 1024> input;
  const ssize_t n = recv(scrape.fd, input.data(), input.size(), 0);
  if (n < 0) return errno != EAGAIN && errno != EINTR;
  if (n == 0) return true;
  scrape.request.append(input.data(), static_cast<std::size_t>(n));
  if (scrape.request.find("\r\n\r\n") == std::string::npos) {
    return scrape.request.size() > kMaxRequestBytes;
  }
  const bool known = scrape.request.starts_with("GET /metrics ");
  scrape.answer =
      known ? response("200 OK", render()) : response("404 Not Found", "GET /metrics\n");
  return false;
}

bool MetricsEndpoint::send_some(Scrape& scrape) {
  const ssize_t n = send(scrape.fd, scrape.answer.data(), scrape.answer.size(), MSG_NOSIGNAL);
  if (n < 0) return errno != EAGAIN && errno != EINTR;
  scrape.answer.erase(0, static_cast<std::size_t>(n));
  return scrape.answer.empty();
}

}  // namespace epulse::load
