#include "server/engine/accept_errors.hpp"

#include <spdlog/spdlog.h>

#include <cerrno>

#include "server/engine/clock.hpp"
#include "server/error.hpp"

namespace epulse::server {
namespace {

constexpr std::uint64_t kPauseNs = 100'000'000;

const char* remedy(int code) {
  switch (code) {
    case EMFILE:
      return "raise ulimit -n";
    case ENFILE:
      return "raise fs.file-max";
    case ENOSPC:
      return "raise fs.epoll.max_user_watches";
    default:
      return "see the kernel's log";
  }
}

}  // namespace

AcceptVerdict judge_accept_error(int code) {
  switch (code) {
    case EAGAIN:
      return AcceptVerdict::kNobody;
    case EINTR:         // A signal: the call did nothing.
    case ECONNABORTED:  // This one gave up while it waited for us.
    case EPERM:         // A firewall rule forbids this one.
    case EPROTO:    // From here on: errors of the network that Linux passes on for the new socket
    case ENETDOWN:  // (accept(2)); they say nothing about the next one.
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
      return AcceptVerdict::kNext;
    case EMFILE:   // Our limit of open files,
    case ENFILE:   // that of the machine,
    case ENOBUFS:  // memory for sockets,
    case ENOMEM:   // or memory at all is used up. The queue stays readable, so asking again at once
                   // would spin; closing connections is what helps.
    default:       // EBADF, EFAULT, EINVAL, ENOTSOCK: our own mistake. Slow down here, too.
      return AcceptVerdict::kBackOff;
  }
}

void AcceptPause::begin(int code, std::uint64_t now_ns) {
  if (logged_ns_ == 0 || now_ns - logged_ns_ >= kSecondNs) {
    logged_ns_ = now_ns;
    spdlog::warn("cannot accept connections: {}; they wait in the queue until some are closed; {}",
                 errno_text(code), remedy(code));
  }
  until_ns_ = now_ns + kPauseNs;
}

bool AcceptPause::end_if_due(std::uint64_t now_ns) {
  if (!active() || now_ns < until_ns_) return false;
  until_ns_ = 0;
  return true;
}

}  // namespace epulse::server
