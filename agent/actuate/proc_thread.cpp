#include "agent/actuate/proc_thread.hpp"

#include <fcntl.h>

#include <array>
#include <string>

#include "agent/error.hpp"
#include "common/unique_fd.hpp"

namespace epulse::actuate {

std::optional<kernel::ThreadStat> read_thread_stat(pid_t pid, pid_t tid) {
  const std::string path = fmt::format("/proc/{}/task/{}/stat", pid, tid);
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno != ENOENT) {
    fail("cannot open {}: {}; is /proc mounted, without hidepid?", path, errno_text(errno));
  }
  if (!fd) return std::nullopt;
  std::array<char, 1024> text{};
  const ssize_t got = read(fd.get(), text.data(), text.size());
  if (got < 0 && errno != ESRCH) fail("cannot read {}: {}", path, errno_text(errno));
  if (got <= 0) return std::nullopt;
  auto stat = kernel::parse_thread_stat({text.data(), static_cast<size_t>(got)});
  if (!stat) fail("cannot make sense of {}: it has no start time", path);
  if (stat->state == 'Z' || stat->state == 'X') return std::nullopt;
  return stat;
}

}  // namespace epulse::actuate
