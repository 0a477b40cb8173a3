#include "agent/kernel/tracepoint_ids.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace epulse::kernel {
namespace {

constexpr std::array kNames = {"sys_enter_epoll_wait",   "sys_exit_epoll_wait",
                               "sys_enter_epoll_pwait",  "sys_exit_epoll_pwait",
                               "sys_enter_epoll_pwait2", "sys_exit_epoll_pwait2",
                               "sys_exit_epoll_create",  "sys_exit_epoll_create1"};

// A tracefs that only we see, -1 when it is refused.
int open_tracefs() {
  const int context = fsopen("tracefs", FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  int root = -1;
  if (fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0) {
    root = fsmount(context, FSMOUNT_CLOEXEC, 0);
  }
  close(context);
  return root;
}

uint64_t read_id(int root, const std::string& name) {
  const std::string path = "events/syscalls/" + name + "/id";
  const int file = openat(root, path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  std::array<char, 32> text{};
  const ssize_t bytes = read(file, text.data(), text.size() - 1);
  close(file);
  return bytes > 0 ? strtoull(text.data(), nullptr, 10) : 0;
}

}  // namespace

std::map<std::string, uint64_t, std::less<>> epoll_syscall_tracepoints() {
  std::map<std::string, uint64_t, std::less<>> ids;
  const int root = open_tracefs();
  if (root < 0) return ids;
  for (const char* name : kNames) {
    if (const uint64_t id = read_id(root, name); id != 0) ids.emplace(name, id);
  }
  close(root);
  return ids;
}

}  // namespace epulse::kernel
