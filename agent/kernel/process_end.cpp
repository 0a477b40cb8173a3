#include "agent/kernel/process_end.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "agent/kernel/process.hpp"

namespace epulse::kernel {
namespace {

constexpr unsigned long kExiting = 0x4;  // PF_EXITING of linux/sched.h
constexpr unsigned long kKill = 1UL << (SIGKILL - 1);

// Field 9 of stat, behind a name that may hold anything.
bool is_exiting(const std::string& folder) {
  std::ifstream file(folder + "stat");
  std::string text;
  std::getline(file, text, '\0');
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return true;  // it is gone
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
  return true;  // it is gone
}

bool thread_is_ending(pid_t pid, pid_t tid) {
  const std::string folder = fmt::format("/proc/{}/task/{}/", pid, tid);
  return is_killed(folder) || is_exiting(folder);
}

}  // namespace

bool is_ending(pid_t pid) {
  if (!thread_is_ending(pid, pid)) return false;  // there may be thousands
  const std::vector<pid_t> tids = thread_ids(pid);
  return std::all_of(tids.begin(), tids.end(),
                     [&](pid_t tid) { return thread_is_ending(pid, tid); });
}

}  // namespace epulse::kernel
