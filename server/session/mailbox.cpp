#include "server/session/mailbox.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "server/error.hpp"

namespace epulse::server {

Waker::Waker() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!fd_) fail("cannot create an eventfd: {}; raise ulimit -n", errno_text(errno));
}

void Waker::wake() {
  if (pending_.exchange(true)) return;
  const std::uint64_t one = 1;
  // Cannot fail: the counter is never near its limit, since the flag lets one write through.
  [[maybe_unused]] const ssize_t written = write(fd_.get(), &one, sizeof one);
}

}  // namespace epulse::server
