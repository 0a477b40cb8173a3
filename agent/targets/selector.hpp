#pragma once

#include <sys/types.h>

#include <string>
#include <variant>
#include <vector>

// The ways to name what is to be watched.
namespace epulse::targets {

struct Pids {
  std::vector<pid_t> pids;  // a thread's id means its process
  bool children = false;    // and all descendants
};
// A thread, so its process: who shows the figures leaves the other threads out.
struct Thread {
  pid_t tid = 0;
};
// Processes of this name (comm), and their descendants.
struct Name {
  std::string name;
};
// All processes of a control group and of those below.
struct Cgroup {
  std::string path;
};
struct Unit {
  std::string name;  // ".service" when it has no suffix
};
// Whoever has an epoll instance, but for ourselves.
struct All {};

using Selector = std::variant<Pids, Thread, Name, Cgroup, Unit, All>;

}  // namespace epulse::targets
