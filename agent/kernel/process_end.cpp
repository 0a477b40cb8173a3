#include "agent/kernel/process_end.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "agent/kernel/process.hpp"

namespace epulse::kernel {
namespace {

constexpr unsigned long kExiting = 0x4;  // PF_EXITING of linux/sched.h
constexpr unsigned long kKill = 1UL << (SIGKILL - 1);

// A file that cannot be opened may also be one too many.
bool is_gone(const std::string& folder) {
  return access(folder.c_str(), F_OK) < 0 && errno == ENOENT;
}

// Field 9 of stat, behind a name that may hold anything.
bool is_exiting(const std::string& folder) {
  std::ifstream file(folder + "stat");
  std::string text;
  std::getline(file, text, '\0');
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return is_gone(folder);
  unsigned long flags = 0;
  return std::sscanf(text.c_str() + name_end + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) == 1 &&
         (flags & kExiting) != 0;
}

// The kernel gives each thread of a process that ends a SIGKILL of its own.
bool is_killed(const std::string& folder) {
  std::ifstream file(folder + "status");
  for (std::string line; std::getline(file, line);) {
    unsigned long pending = 0;
    if (std::sscanf(line.c_str(), "SigPnd: %lx", &pending) == 1) return (pending & kKill) != 0;
  }
  return is_gone(folder);
}

bool thread_is_ending(pid_t pid, pid_t tid) {
  const std::string folder = fmt::format("/proc/{}/task/{}/", pid, tid);
  return is_killed(folder) || is_exiting(folder);
}

}  // namespace

bool is_ending(pid_t pid) {
  if (!thread_is_ending(pid, pid)) return false;  // there may be thousands
  const std::vector<pid_t> tids = thread_ids(pid);
  if (tids.empty()) return is_gone(fmt::format("/proc/{}", pid));
  return std::all_of(tids.begin(), tids.end(),
                     [&](pid_t tid) { return thread_is_ending(pid, tid); });
}

}  // namespace epulse::kernel
