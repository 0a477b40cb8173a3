#include "agent/actuate/proc_thread.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "agent/actuate/unique_fd.hpp"
#include "agent/error.hpp"

namespace epulse::actuate {
namespace {

constexpr int kStartField = 22;
constexpr int kFirstFieldAfterName = 3;

}  // namespace

std::optional<ThreadStat> parse_thread_stat(std::string_view text) {
  // The name may hold anything, parentheses and spaces included: it ends at the last one.
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return std::nullopt;
  }
  ThreadStat stat;
  stat.name = text.substr(open + 1, close - open - 1);
  text.remove_prefix(close + 1);
  for (int field = kFirstFieldAfterName; field <= kStartField; ++field) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const std::string_view word = text.substr(0, text.find(' '));
    if (word.empty()) return std::nullopt;
    if (field == kFirstFieldAfterName) stat.state = word.front();
    if (field == kStartField) {
      const char* const end = word.data() + word.size();
      const auto [at, error] = std::from_chars(word.data(), end, stat.start_ticks);
      if (error != std::errc{} || at == word.data()) return std::nullopt;
    }
    text.remove_prefix(word.size());
  }
  return stat;
}

std::optional<ThreadStat> read_thread_stat(pid_t pid, pid_t tid) {
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
  auto stat = parse_thread_stat({text.data(), static_cast<size_t>(got)});
  if (!stat) fail("cannot make sense of {}: it has no start time in field {}", path, kStartField);
  if (stat->state == 'Z' || stat->state == 'X') return std::nullopt;
  return stat;
}

}  // namespace epulse::actuate
