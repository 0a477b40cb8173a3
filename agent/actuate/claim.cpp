#include "agent/actuate/claim.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "agent/actuate/lock.hpp"

namespace epulse::actuate {

// A lock on a file of the process's own in /proc: that stands for the process, not for its number,
// and nobody but its user and root can open this one; the lock ends with who holds it. Who may not
// open it, or sees the process in another mount of /proc, does without.
Claim claim(pid_t pid) {
  Claim result;
  UniqueFd fd(open(fmt::format("/proc/{}/personality", pid).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return result;
  if (lock(fd.get())) {
    result.held = std::move(fd);
  } else {
    result.is_taken = errno == EWOULDBLOCK;
  }
  return result;
}

}  // namespace epulse::actuate
